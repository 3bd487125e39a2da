# The README says what is there, and its examples run: the settings, views and
# functions it names are those of the catalogs, each once, with their arguments,
# columns and defaults; its conf block starts a server, its sql blocks run on it
# in the order in which they are printed.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tree = $ENV{HONE_TREE} // '.';
my $readme = slurp_file("$tree/README.md");

sub blocks
{
	my ($language) = @_;
	return $readme =~ /^```$language\n(.*?)^```$/msg;
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', join("\n", blocks('conf')) . "
cron.use_background_workers = on
");
$node->start;

# The examples, each block by a session of its own, as a reader would.
my $n = 0;
my %variable;
for my $block (blocks('sql'))
{
	$n++;
	my ($stdout, $stderr);
	my $status = $node->psql('postgres', $block, stdout => \$stdout, stderr => \$stderr,
		extra_params => [ '-v', 'ON_ERROR_STOP=1' ]);
	is($status, 0, "example $n runs") or diag("$block\n$stderr");
	if ($block =~ /CALL hone\.apply_all/)
	{
		like($stdout, qr/^kept\|/m, 'an index was built');
		is($node->safe_psql('postgres', q{
			SELECT count(*) > 0 FROM hone.actions a JOIN pg_class c ON c.relname = a.index_name
			JOIN pg_index i ON i.indexrelid = c.oid
			WHERE i.indrelid = 'events'::regclass AND i.indisvalid}), 't', 'and is valid');
	}
	like($stdout, qr/create index/i, 'advice on one statement') if $block =~ /hone\.advise\('/;
	like($stdout, qr/^0\|0$/m, 'the feed is right') if $block =~ /verify_feed/;
	if ($block =~ /CALL hone\.revert/)
	{
		is($node->safe_psql('postgres', q{
			SELECT count(*) FROM hone.recommendations WHERE status = 'reverted'}), 1, 'taken back');
	}
}
cmp_ok($n, '>=', 8, 'there are examples');

# What the README grants is enough to be asked as that role.
is($node->safe_psql('postgres', q{
	GRANT SELECT ON events TO tuner;
	SET ROLE tuner;
	SELECT count(*) > 0 FROM hone.advise('SELECT * FROM events WHERE account_id = 42 ORDER BY created_at DESC LIMIT 20')}),
	't', 'the role it makes can tune');

sub section
{
	my ($title) = @_;
	return $readme =~ /^## Reference: $title\n(.*?)(?=^## )/ms ? $1 : '';
}

sub catalog
{
	my ($query) = @_;
	return sort split /\n/, $node->safe_psql('postgres', $query);
}

# Settings: name and default.
my @settings = section('settings') =~ /^\| `(pg_hone\.\w+)` \| (?:(\S+) )?\|/mg;
my %default = @settings;
is_deeply([ sort map { $settings[ 2 * $_ ] } 0 .. $#settings / 2 ],
	[ catalog(q{SELECT name FROM pg_settings WHERE name LIKE 'pg\_hone.%'}) ],
	'every setting once, and no other');
for my $name (sort keys %default)
{
	is($default{$name} // '', $node->safe_psql('postgres', "SHOW $name"), "default of $name");
}
my %who = (superuser => 'superuser', sighup => 'reload', postmaster => 'restart', user => 'user');
for my $row (catalog(q{SELECT name, context FROM pg_settings WHERE name LIKE 'pg\_hone.%'}))
{
	my ($name, $context) = split /\|/, $row;
	like($readme, qr/^\| `\Q$name\E` \| (?:\S+ )?\| $who{$context} \|/m, "who changes $name");
}

# Views, and that the columns named are theirs.
my @views = section('views') =~ /^\| `hone\.(\w+)` \|/mg;
is_deeply([ sort @views ],
	[ catalog(q{SELECT viewname FROM pg_views WHERE schemaname = 'hone'}) ],
	'every view once, and no other');
my $views = section('views');
while ($views =~ /^\| `hone\.(\w+)` \|[^|]*\|([^|]*)\|$/mg)
{
	my ($view, $cell) = ($1, $2);
	my %has = map { $_ => 1 } catalog("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('hone.$view') AND attnum > 0");
	my @wrong = grep { !$has{$_} } $cell =~ /`(\w+)`/g;
	is("@wrong", '', "columns of $view");
}

# Functions: with arguments those that are called, without those that are not.
my %arguments;
my @functions;
my $functions = section('functions and procedures');
while ($functions =~ /^\| `(CALL )?hone\.(\w+)\(([^)]*)\)` \|/mg)
{
	push @functions, $2;
	$arguments{$2} = ($1 // '') . $3;
}
push @functions, $1 while $functions =~ /`hone\.(\w+)`/g;
is_deeply([ sort @functions ],
	[ catalog(q{SELECT proname FROM pg_proc WHERE pronamespace = 'hone'::regnamespace}) ],
	'every function once, and no other');
for my $name (sort keys %arguments)
{
	is($arguments{$name},
		$node->safe_psql('postgres', qq{
			SELECT CASE prokind WHEN 'p' THEN 'CALL ' ELSE '' END
			       || coalesce(array_to_string(proargnames[1:pronargs], ', '), '')
			FROM pg_proc WHERE pronamespace = 'hone'::regnamespace AND proname = '$name'}),
		"arguments of $name");
}

$node->stop;
done_testing();
