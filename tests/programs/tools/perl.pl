#!/usr/bin/perl
# status: 3
# Processes, pipes, signals, files and text, by a program that knows the system calls' names.
use strict;
use warnings;
$| = 1;
open(my $words, '-|', 'printf "pear\napple\nfig\napple\n"') or die;
my %count;
while (my $word = <$words>) { chomp $word; $count{$word}++; }
close $words;
print join(', ', map { "$_=$count{$_}" } sort keys %count), "\n";
pipe(my $from, my $to) or die;
my $child = fork() // die;
if (!$child) {
    close $from;
    print $to "from the child\n" for 1 .. 3;
    exit 7;
}
close $to;
print while <$from>;
waitpid($child, 0);
printf "status %d, signal %d\n", $? >> 8, $? & 127;
my @caught;
$SIG{USR1} = sub { push @caught, $_[0] };
$SIG{ALRM} = sub { push @caught, $_[0] };
kill USR1 => $$;
$SIG{CHLD} = 'IGNORE';
alarm 1;
select(undef, undef, undef, 10);
print "caught @caught\n";
mkdir '/tmp/dir' or die;
for my $name (qw(b a c)) { open(my $file, '>', "/tmp/dir/$name") or die; print $file $name x 3; }
opendir(my $dir, '/tmp/dir') or die;
print join(' ', sort grep { !/^\./ } readdir $dir), "\n";
rename '/tmp/dir/a', '/tmp/dir/z' or die;
symlink 'z', '/tmp/dir/link' or die;
print readlink('/tmp/dir/link'), ' ', -s '/tmp/dir/link', ' ', (stat '/tmp/dir/z')[7], "\n";
open(my $both, '+<', '/tmp/dir/z') or die;
seek $both, 1, 0; print $both 'X'; seek $both, 0, 0; print scalar(<$both>), "\n"; truncate $both, 1;
close $both; print -s '/tmp/dir/z', "\n";
print -e '/tmp/dir/a' ? 'there' : "gone: $!", "\n";
my $text = 'the quick brown fox' x 1000;
my $n = () = $text =~ /\b\w*o\w*\b/g;
print "$n ", length($text), ' ', scalar reverse('olleh'), ' ', sprintf('%.3f %#x %s', 2 ** 0.5, 255, join '', sort split //, 'perl'), "\n";
print scalar gmtime(86400 * 365), "\n";
my $out = `echo nested; exit 5`; print $out, $? == -1 ? 'ignored' : $? >> 8, "\n";
exec 'sh', '-c', 'exit 3' or die;
