# A client of the frontend/backend protocol, for what psql cannot send: parse,
# bind and execute with any number of parameters, portals read in pieces, bytes
# that no encoding allows, a connection that goes away in the middle.
#
#	my $c = HoneWire->connect($node, dbname => 'postgres', user => 'x', options => '-c a=b');
#	$c->query($sql)								one message of the simple protocol
#	$c->execute($sql, [values], max => n)		parse, bind, execute (in pieces of n), sync
#	$c->value($sql)								first column of first row
#
# Answers are hashes: rows (of arrays), tags, error (SQLSTATE or ''), message,
# suspended (how often a portal stopped at max), status (I, T or E).
package HoneWire;
use strict;
use warnings;
use IO::Socket::UNIX;
use IO::Socket::INET;
use PostgreSQL::Test::Utils ();

sub connect
{
	my ($class, $node, %with) = @_;
	my $socket = $node->host =~ m{^/}
	  ? IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port)
	  : IO::Socket::INET->new(PeerAddr => $node->host, PeerPort => $node->port);
	die "cannot connect: $!" unless $socket;
	binmode $socket;
	my $self = bless { socket => $socket, buffer => '' }, $class;
	my %startup = (
		user => scalar(getpwuid($<)), database => $with{dbname} // 'postgres',
		application_name => 'wire', client_encoding => 'UTF8');
	for my $name ('user', 'options', 'client_encoding')
	{
		$startup{$name} = $with{$name} if defined $with{$name};
	}
	my $body = pack('N', 196608) . join('', map { "$_\0$startup{$_}\0" } sort keys %startup) . "\0";
	$self->send_bytes(pack('N', 4 + length $body) . $body);
	my $answer = $self->answer;
	die "cannot connect: $answer->{message}" if $answer->{error};
	return $self;
}

sub send_bytes
{
	my ($self, $bytes) = @_;
	my $at = 0;
	local $SIG{PIPE} = 'IGNORE';
	while ($at < length $bytes)
	{
		my $n = syswrite($self->{socket}, $bytes, length($bytes) - $at, $at);
		return 0 unless defined $n;
		$at += $n;
	}
	return 1;
}

sub message { return pack('aN', $_[0], 4 + length $_[1]) . $_[1]; }

sub read_bytes
{
	my ($self, $n) = @_;
	local $SIG{ALRM} = sub { die "no answer from the server in time\n" };
	alarm($PostgreSQL::Test::Utils::timeout_default // 60);
	while (length $self->{buffer} < $n)
	{
		my $got = sysread($self->{socket}, $self->{buffer}, 1 << 16, length $self->{buffer});
		if (!$got) { alarm 0; return undef; }
	}
	alarm 0;
	return substr($self->{buffer}, 0, $n, '');
}

# Everything up to ReadyForQuery. A closed connection is the error "closed".
sub answer
{
	my ($self) = @_;
	my %a = (rows => [], tags => [], error => '', message => '', suspended => 0, status => '', notifications => 0);

	while (1)
	{
		my $head = $self->read_bytes(5);
		if (!defined $head) { $a{error} ||= 'closed'; $a{status} = 'closed'; return \%a; }
		my ($type, $length) = unpack('aN', $head);
		my $body = $self->read_bytes($length - 4) // '';
		if ($type eq 'Z') { $a{status} = $body; return \%a; }
		elsif ($type eq 'K') { ($self->{pid}, $self->{secret}) = unpack('NN', $body); }
		elsif ($type eq 's') { $a{suspended}++; }
		elsif ($type eq 'C') { push @{ $a{tags} }, unpack('Z*', $body); }
		elsif ($type eq 'A') { $a{notifications}++; }
		elsif ($type eq 'G') { $self->send_bytes(message('d', $self->{copy_in} // '') . message('c', '')); }
		elsif ($type eq 'd') { push @{ $a{rows} }, [$body]; }
		elsif ($type eq 'D')
		{
			my ($n) = unpack('n', $body);
			my $at = 2;
			my @row;
			for (1 .. $n)
			{
				my $len = unpack('l>', substr($body, $at, 4));
				$at += 4;
				if ($len < 0) { push @row, undef; next; }
				push @row, substr($body, $at, $len);
				$at += $len;
			}
			push @{ $a{rows} }, \@row;
		}
		elsif ($type eq 'E')
		{
			my %field = map { (substr($_, 0, 1) => substr($_, 1)) } split(/\0/, $body);
			if ($a{error} eq '') { $a{error} = $field{C}; $a{message} = $field{M}; }
		}
	}
}

sub query
{
	my ($self, $sql) = @_;
	$self->send_bytes(message('Q', "$sql\0"));
	return $self->answer;
}

sub value
{
	my ($self, $sql) = @_;
	my $a = $self->query($sql);
	die "$a->{error} $a->{message} in: $sql\n" if $a->{error};
	return join("\n", map { join('|', map { $_ // '' } @$_) } @{ $a->{rows} });
}

sub parse_message
{
	my ($name, $sql, $types) = @_;
	$types //= [];
	return message('P', "$name\0$sql\0" . pack('n', scalar @$types) . pack('N*', @$types));
}

sub bind_message
{
	my ($portal, $name, $values) = @_;
	return message('B', "$portal\0$name\0" . pack('n', 0) . pack('n', scalar @$values)
		  . join('', map { defined $_ ? pack('N', length $_) . $_ : pack('l>', -1) } @$values)
		  . pack('n', 0));
}

sub execute_message { return message('E', "$_[0]\0" . pack('N', $_[1] // 0)); }
sub sync { return message('S', ''); }

# Unnamed statement and portal. With max, that many rows a time, until it ends.
sub execute
{
	my ($self, $sql, $values, %with) = @_;
	my $pieces = $with{pieces} // 1;
	$self->send_bytes(parse_message('', $sql, $with{types})
		  . bind_message('', '', $values // [])
		  . execute_message('', $with{max}) x $pieces
		  . sync());
	return $self->answer;
}

sub close_now { my ($self) = @_; close $self->{socket}; }
sub close { my ($self) = @_; $self->send_bytes(message('X', '')); close $self->{socket}; }

1;
