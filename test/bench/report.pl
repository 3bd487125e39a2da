#!/usr/bin/perl
# Prints what test/bench/capture has measured as Markdown tables; the last one
# compares with what pg_hone is held to.
#
#	report.pl RESULTS
#
# The lines of RESULTS are described where they are written: cpu.sh and
# instructions.sh.
use strict;
use warnings;

my %titles = (
	nothing      => 'nothing',
	control      => 'nothing, again (A/A control)',
	queryid      => 'compute_query_id = on',
	pgss         => 'pg_stat_statements',
	pgss_ae      => 'pg_stat_statements + auto_explain 100 ms',
	pgss_analyze => 'the same, log_analyze on',
	hone         => 'pg_hone, everything on',
	hone_off     => 'pg_hone.enabled = off',
);
my @configs = qw(nothing control queryid pgss pgss_ae pgss_analyze hone hone_off);
my %load_titles = (
	'select-prepared' => 'point SELECT, prepared',
	'select-simple'   => 'point SELECT, simple',
	select1           => 'select 1, prepared',
	tpcb              => 'TPC-B, prepared',
	join              => '1,000-row join',
	churn             => '16,384 shapes',
	hot               => '8 clients, one hot query',
);
my @all_loads = qw(select-prepared select-simple select1 join churn hot tpcb);

# --- reading -----------------------------------------------------------------

my (%instructions, %cpu, %wall, %background, %calls);
open my $in, '<', $ARGV[0] or die "cannot read $ARGV[0]: $!\n";
while (<$in>)
{
	my ($kind, $config, @f) = split;
	if ($kind eq 'instructions')
	{
		$instructions{ $f[0] }{$config} = { raw => $f[1], malloc => $f[2], mallocs => $f[3] };
	}
	elsif ($kind eq 'cpu')
	{
		$cpu{ $f[0] }{$config}[ $f[1] ]  = $f[2] / $f[4] / 1000;
		$wall{ $f[0] }{$config}[ $f[1] ] = $f[3] / $f[4];
	}
	elsif ($kind eq 'background') { $background{ $f[0] }{$config} = \@f; }
	elsif ($kind eq 'calls') { push @{ $calls{$config} }, [@f]; }
}
close $in;

# --- figures -----------------------------------------------------------------

sub median
{
	my @v = sort { $a <=> $b } @_;
	my $n = @v;
	return $n % 2 ? $v[ $n / 2 ] : ($v[ $n / 2 - 1 ] + $v[ $n / 2 ]) / 2;
}

# The mean of the lower half: what it costs when nothing disturbs.
sub quiet
{
	my @v = sort { $a <=> $b } @_;
	my $n = int((@v + 1) / 2);
	my $sum = 0;
	$sum += $_ for @v[ 0 .. $n - 1 ];
	return $sum / $n;
}

# A configuration against nothing, round by round.
sub ratios
{
	my ($table, $config) = @_;
	return map { $table->{$config}[$_] / $table->{nothing}[$_] } 0 .. $#{ $table->{$config} };
}

# Where the true median is, 95 times of 100, by the ranks of the ratios.
sub interval
{
	my @v = sort { $a <=> $b } @_;
	my $low = int(@v / 2 - 0.98 * sqrt(@v));
	$low = 0 if $low < 0;
	return ($v[$low], $v[ $#v - $low ]);
}

sub with_interval
{
	my ($load, $config) = @_;
	my @r = ratios($cpu{$load}, $config);
	return sprintf '%.3f (%.3f..%.3f)', median(@r), interval(@r);
}

sub cpu_ratio
{
	my ($load, $config) = @_;
	return undef unless $cpu{$load}{$config} && $cpu{$load}{nothing};
	return median(ratios($cpu{$load}, $config));
}

# Instructions with malloc at the price that it has in "nothing".
sub settled
{
	my ($load, $config) = @_;
	my ($c, $n) = ($instructions{$load}{$config}, $instructions{$load}{nothing});
	return undef unless $c && $n;
	my $price = $n->{mallocs} > 0 ? $n->{malloc} / $n->{mallocs} : 0;
	return $c->{raw} - $c->{malloc} + $c->{mallocs} * $price;
}

sub added
{
	my ($load, $config, $base) = @_;
	my ($c, $n) = (settled($load, $config), settled($load, $base // 'nothing'));
	return defined $c && defined $n ? $c - $n : undef;
}

sub thousands
{
	my $n = sprintf '%.0f', shift;
	1 while $n =~ s/^(-?\d+)(\d{3})/$1,$2/;
	return $n;
}

sub signed { my $n = shift; return $n < -0.5 ? thousands($n) : '+' . thousands(abs $n); }

sub row { print '| ', join(' | ', @_), " |\n"; }

sub head
{
	row(@_);
	row(map { '---' } @_);
}

# --- tables ------------------------------------------------------------------

sub instruction_table
{
	my @loads = grep { $instructions{$_} } @all_loads;

	return unless @loads;
	print "\n### Instructions per transaction, added to nothing\n\n";
	print "User space, by callgrind. In brackets the raw count; before it, each call of malloc at what it costs in \"nothing\".\n\n";
	head('configuration', map { $load_titles{$_} } @loads);
	for my $config (@configs)
	{
		next unless grep { $instructions{$_}{$config} } @loads;
		row($titles{$config}, map {
			my $c = $instructions{$_}{$config};
			!$c ? ''
			  : $config eq 'nothing' ? thousands($c->{raw}) . ' in all'
			  : sprintf('%s (%s)', signed(added($_, $config)), signed($c->{raw} - $instructions{$_}{nothing}{raw}))
		} @loads);
	}
}

sub cpu_table
{
	my @loads = grep { $cpu{$_} } @all_loads;

	return unless @loads;
	print "\n### CPU time of the backends per transaction, ratio to nothing\n\n";
	print "Median of the rounds' ratios; quieter half of the slices against that of nothing; least..most of the rounds.\n\n";
	head('configuration', map { $load_titles{$_} } @loads);
	for my $config (@configs)
	{
		next unless grep { $cpu{$_}{$config} } @loads;
		row($titles{$config}, map {
			my $load = $_;
			my $c    = $cpu{$load}{$config};
			if (!$c) { ''; }
			elsif ($config eq 'nothing') { sprintf '%.1f us', median(@$c); }
			else
			{
				my @r = sort { $a <=> $b } ratios($cpu{$load}, $config);
				sprintf '**%.3f** quiet %.3f (%.2f..%.2f)', median(@r),
				  quiet(@$c) / quiet(@{ $cpu{$load}{nothing} }), $r[0], $r[-1];
			}
		} @loads);
	}
}

# Transactions per second: all that eight clients on few CPUs can show.
sub throughput_table
{
	my $load = 'hot';

	return unless $wall{$load};
	print "\n### $load_titles{$load}: transactions per second, ratio to nothing\n\n";
	head('configuration', 'median', 'least..most');
	for my $config (grep { $wall{$load}{$_} && $_ ne 'nothing' } @configs)
	{
		my @r = sort { $a <=> $b } map { 1 / $_ } ratios($wall{$load}, $config);
		row($titles{$config}, sprintf('%.3f', median(@r)), sprintf('%.2f..%.2f', $r[0], $r[-1]));
	}
}

sub background_table
{
	my @loads = grep { $background{$_} } @all_loads;

	return unless @loads;
	print "\n### CPU time outside of the serving backends, while one load runs without a pause\n\n";
	print "Milliseconds per second: of pg_hone's launcher, and of all other processes of the server (collectors among them).\n\n";
	head('configuration', map { $load_titles{$_} } @loads);
	for my $config (@configs)
	{
		next unless grep { $background{$_}{$config} } @loads;
		row($titles{$config}, map {
			my $b = $background{$_}{$config};
			!$b ? '' : ($config =~ /^hone/ ? sprintf('%.2f + ', $b->[1] / $b->[4] * 1000) : '')
			  . sprintf('%.2f', $b->[2] / $b->[4] * 1000)
		} @loads);
	}
}

sub calls_table
{
	return unless %calls;
	print "\n### Calls accounted for, of 16,384 query shapes in random order\n\n";
	head('tool', 'calls executed', 'calls in its view', 'share');
	for my $config (@configs)
	{
		for my $c (@{ $calls{$config} // [] })
		{
			row($titles{$config}, thousands($c->[0]), thousands($c->[1]), sprintf('%.2f %%', 100 * $c->[1] / $c->[0]));
		}
	}
}

sub limit_table
{
	my @rows;
	my $share = sub {
		my $c = ($calls{ $_[0] } // [])->[-1];
		return $c ? 100 * $c->[1] / $c->[0] : undef;
	};
	my $count = sub {
		my ($name, $pgss, $hone, $limit) = @_;
		return unless defined $hone;
		push @rows, [ $name, defined $pgss ? signed($pgss) : '', signed($hone), signed($limit), $hone <= $limit ? 'yes' : '**no**' ];
	};
	my $cpu = sub {
		my ($name, $load, $limit, $beside) = @_;
		my ($pgss, $hone) = map { cpu_ratio($load, $_) } qw(pgss hone);
		return unless defined $hone;
		my $reached = $hone <= $limit + 0.0005 && (!$beside || $hone <= $pgss + 0.0055);
		push @rows, [
			"CPU ratio, $name", with_interval($load, 'pgss'), with_interval($load, 'hone'),
			sprintf('%.2f', $limit) . ($beside ? sprintf(', and %.3f', $pgss + 0.005) : ''),
			($reached ? 'yes' : '**no**') . sprintf(' (A/A control %s)', with_interval($load, 'control')) ];
	};

	$count->('instructions added, prepared point SELECT', added('select-prepared', 'pgss'), added('select-prepared', 'hone'), 800);
	$count->('instructions added beyond the query id, simple protocol',
		added('select-simple', 'pgss', 'queryid'), added('select-simple', 'hone', 'queryid'), 1000);
	$count->('instructions added, TPC-B', added('tpcb', 'pgss'), added('tpcb', 'hone'), 5500);
	$cpu->('prepared point SELECT', 'select-prepared', 1.02, 1);
	$cpu->('simple point SELECT', 'select-simple', 1.03, 1);
	$cpu->('1,000-row join, slow log armed', 'join', 1.01, 0);
	$cpu->('16,384 shapes', 'churn', 1.10, 0);
	if (defined $share->('hone'))
	{
		push @rows, [ 'calls accounted for, 16,384 shapes',
			(map { sprintf '%.2f %%', $share->($_) } qw(pgss hone)), '100 %',
			$calls{hone}[-1][0] == $calls{hone}[-1][1] ? 'yes' : '**no**' ];
	}
	return unless @rows;
	print "\n### Against the limits\n\n";
	print "CPU ratios: median of the rounds, and where it is by 95 % confidence. Instructions: malloc at the price of \"nothing\".\n\n";
	head('figure', 'pg_stat_statements', 'pg_hone', 'at most', 'reached');
	row(@$_) for @rows;
}

instruction_table();
cpu_table();
throughput_table();
background_table();
calls_table();
limit_table();
