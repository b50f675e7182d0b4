#!/bin/sh
# A program of many files: compiled four at a time, linked, run; what changed is compiled again.
mkdir src && cd src || exit
number=0
while [ $number -lt 12 ]; do
    echo "int part$number(int x) { return x * $number + 1; }" >part$number.c
    number=$((number + 1))
done
{
    echo '#include <stdio.h>'
    echo '#include <stdlib.h>'
    for part in part*.c; do echo "int ${part%.c}(int);"; done
    echo 'int main(int argc, char **argv) { int sum = 0; int x = argc > 1 ? atoi(argv[1]) : 1;'
    for part in part*.c; do echo "sum += ${part%.c}(x);"; done
    echo 'printf("sum %d, %s\n", sum, __FILE__); return sum % 100; }'
} >main.c
cat >Makefile <<'RULES'
OBJECTS := $(patsubst %.c,%.o,$(sort $(wildcard *.c)))
program: $(OBJECTS)
	@echo link
	@tcc -o $@ $^
%.o: %.c
	@echo compile $< >> compiled
	@tcc -c -o $@ $<
.PHONY: clean
clean:
	rm -f *.o program
RULES
make -s -j4 && sort compiled | wc -l && ./program 3; echo "status $?"
make -q && echo "nothing to do"
: >compiled && touch -t 203001010000 part7.c && make -j4 2>&1 | grep -vi 'warning:'; cat compiled
echo 'int main(void) { return part(; }' >broken.c && make -s broken.o 2>&1 | head -n1; ls broken.o 2>&1
tcc -run - <<'C'
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
int main(void) {
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(page, "run where it was compiled");
    return puts(page) < 0;
}
C
echo $?
make clean && ls
