#!/usr/bin/perl
# Reads the callgrind output of sessions that ran the same transactions, one
# few and one many of them, and prints what a transaction costs once caches are
# warm: the difference of the two divided by the difference in transactions.
#
#	callgrind.pl total TRANSACTIONS FEW MANY
#		three numbers per transaction: instructions, how many of them in the C
#		library's malloc and free, and how often these are called
#	callgrind.pl profile TRANSACTIONS FEW MANY FEW-OF-NOTHING MANY-OF-NOTHING OBJECT
#		where the instructions go that a server with the shared library OBJECT
#		executes more than one without: the library's own functions, what they
#		call outside of it, and every other function that costs more or less
#
# Callgrind's format: cost lines are "POSITION COST" and belong to the function
# last named by fn=; the cost line after a calls= line is what that call cost
# altogether, callees included. Names are written once, as "(NUMBER) NAME".
use strict;
use warnings;

my ($what, $transactions, @files) = @ARGV;
die "usage: callgrind.pl total|profile TRANSACTIONS FILE...\n"
  unless defined $transactions && $transactions > 0 && @files >= 2;

# Adds $sign times a file's costs to the table.
sub add_file
{
	my ($table, $path, $sign) = @_;
	my (%object_names, %function_names);
	my ($object, $function, $callee_object, $callee, $call) = ('', '', '', '', undef);

	my $name = sub {
		my ($names, $text) = @_;
		my ($number, $rest) = $text =~ /^\((\d+)\)(?: (.*))?$/ or return $text;
		$names->{$number} = $rest if defined $rest;
		return $names->{$number} // "($number)";
	};
	my $base = sub { my $n = shift; $n =~ s{.*/}{}; return $n; };

	open my $in, '<', $path or die "cannot read $path: $!\n";
	while (my $line = <$in>)
	{
		if ($line =~ /^[-+*\d]/)
		{
			my (undef, $cost) = split ' ', $line;
			$cost //= 0;
			if ($call)
			{
				my $edge = $table->{edge}{"$object\t$function"}{"$callee_object\t$callee"} //= [ 0, 0 ];
				$edge->[0] += $sign * $cost;
				$edge->[1] += $sign * $call;
				# A call that names no object stays in the caller's.
				($call, $callee_object) = (undef, $object);
			}
			else
			{
				$table->{self}{"$object\t$function"} += $sign * $cost;
				$table->{total} += $sign * $cost;
			}
		}
		elsif ($line =~ /^fn=(.*)/)  { $function = $name->(\%function_names, $1); }
		elsif ($line =~ /^ob=(.*)/)  { $object = $base->($name->(\%object_names, $1)); $callee_object = $object; }
		elsif ($line =~ /^cob=(.*)/) { $callee_object = $base->($name->(\%object_names, $1)); }
		elsif ($line =~ /^cfn=(.*)/) { $callee = $name->(\%function_names, $1); }
		elsif ($line =~ /^calls=(\d+)/) { $call = $1; }
	}
	close $in;
}

# What a transaction costs: a table of many minus few.
sub difference
{
	my ($few, $many) = @_;
	my $table = { total => 0 };

	add_file($table, $many, 1);
	add_file($table, $few, -1);
	return $table;
}

sub per_transaction { return $_[0] / $transactions; }

sub is_malloc
{
	return $_[0] =~ /^libc[^\t]*\t(?:malloc|calloc|realloc|c?free|_int_(?:malloc|free|realloc)|unlink_chunk|
		malloc_consolidate|sysmalloc|systrim|alloc_perturb|free_perturb|tcache_\w+)\b/x;
}

my $with = difference($files[0], $files[1]);

if ($what eq 'total')
{
	my ($malloc, $calls) = (0, 0);
	for (grep { is_malloc($_) } keys %{ $with->{self} }) { $malloc += $with->{self}{$_}; }
	for my $callees (values %{ $with->{edge} })
	{
		for (grep { /^libc[^\t]*\t(?:malloc|calloc|realloc)$/ } keys %$callees) { $calls += $callees->{$_}[1]; }
	}
	printf "%.1f %.1f %.3f\n", map { per_transaction($_) } $with->{total}, $malloc, $calls;
	exit;
}

die "profile needs the files of an empty server and a library's name\n" unless @files == 5;
my $without = difference($files[2], $files[3]);
my $library = $files[4];

sub is_library { return $_[0] =~ /^\Q$library\E\t/; }
sub short { my ($o, $f) = split /\t/, $_[0]; return $o eq 'postgres' ? $f : "$f ($o)"; }

printf "with %s %.0f, without %.0f, added %.0f instructions per transaction\n\n",
  $library, per_transaction($with->{total}), per_transaction($without->{total}),
  per_transaction($with->{total} - $without->{total});

# Functions of the library: own cost, inclusive cost, calls.
my (%inclusive, %calls);
for my $caller (keys %{ $with->{edge} })
{
	for my $callee (keys %{ $with->{edge}{$caller} })
	{
		my $edge = $with->{edge}{$caller}{$callee};
		$calls{$callee} += $edge->[1];
		$inclusive{$caller} += $edge->[0];
	}
}
my $own = 0;
print "own cost of the library's functions\n";
printf "%10s %12s %8s  %s\n", 'own', 'with callees', 'calls', 'function';
for my $f (sort { $with->{self}{$b} <=> $with->{self}{$a} } grep { is_library($_) } keys %{ $with->{self} })
{
	my $self = $with->{self}{$f};
	$own += $self;
	next if abs(per_transaction($self)) < 0.5;
	printf "%10.1f %12.1f %8.2f  %s\n", per_transaction($self),
	  per_transaction($self + ($inclusive{$f} // 0)), per_transaction($calls{$f} // 0), (split /\t/, $f)[1];
}
printf "%10.1f %12s %8s  %s\n\n", per_transaction($own), '', '', 'together';

# What the library calls. standard_ExecutorRun and the like are the statement itself.
print "calls out of the library (cost with callees; the statement itself is among them)\n";
printf "%10s %8s  %s\n", 'cost', 'calls', 'callee <- caller';
my @out;
for my $caller (grep { is_library($_) } keys %{ $with->{edge} })
{
	for my $callee (grep { !is_library($_) } keys %{ $with->{edge}{$caller} })
	{
		push @out, [ @{ $with->{edge}{$caller}{$callee} }, short($callee) . ' <- ' . (split /\t/, $caller)[1] ];
	}
}
for my $o (sort { $b->[0] <=> $a->[0] } @out)
{
	next if abs(per_transaction($o->[0])) < 0.5;
	printf "%10.1f %8.2f  %s\n", per_transaction($o->[0]), per_transaction($o->[1]), $o->[2];
}

# Everything else, as a difference of own costs; so these and "together" add up
# to what is added.
print "\nother functions that cost more or less than on an empty server (own cost)\n";
my %other;
$other{$_} += $with->{self}{$_}    for grep { !is_library($_) } keys %{ $with->{self} };
$other{$_} -= $without->{self}{$_} for grep { !is_library($_) } keys %{ $without->{self} };
my $rest = 0;
my $small = 0;
for my $f (sort { abs($other{$b}) <=> abs($other{$a}) } keys %other)
{
	$rest += $other{$f};
	if (abs(per_transaction($other{$f})) < 3) { $small += $other{$f}; next; }
	printf "%10.1f  %s\n", per_transaction($other{$f}), short($f);
}
printf "%10.1f  %s\n", per_transaction($small), 'smaller ones';
printf "%10.1f  %s\n", per_transaction($rest), 'together';
