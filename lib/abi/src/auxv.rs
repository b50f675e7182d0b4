//! The auxiliary vector: what the kernel tells a program at its start
//! (getauxval(3)).

macro_rules! keys {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        $(#[doc = $text]
        pub const $name: u64 = $number;)*
    };
}

keys! {
    AT_NULL = 0, "The end.";
    AT_IGNORE = 1, "Nothing.";
    AT_PHDR = 3, "The program headers in memory.";
    AT_PHENT = 4, "Size of one.";
    AT_PHNUM = 5, "How many.";
    AT_PAGESZ = 6, "Page size.";
    AT_BASE = 7, "Where the interpreter was loaded; 0 for none.";
    AT_FLAGS = 8, "Flags, none.";
    AT_ENTRY = 9, "Where the program itself starts.";
    AT_UID = 11, "Real user.";
    AT_EUID = 12, "Effective user.";
    AT_GID = 13, "Real group.";
    AT_EGID = 14, "Effective group.";
    AT_PLATFORM = 15, "Name of the machine, a string.";
    AT_HWCAP = 16, "What the processor can do.";
    AT_CLKTCK = 17, "Frequency of times(2).";
    AT_SECURE = 23, "Whether the program runs with more rights than its caller.";
    AT_RANDOM = 25, "Sixteen random bytes.";
    AT_HWCAP2 = 26, "What else the processor can do.";
    AT_RSEQ_FEATURE_SIZE = 27, "Bytes of the area of rseq(2) that the kernel knows.";
    AT_RSEQ_ALIGN = 28, "How that area is aligned.";
    AT_EXECFN = 31, "The path executed, a string.";
    AT_SYSINFO_EHDR = 33, "The vDSO.";
    AT_MINSIGSTKSZ = 51, "The smallest stack that a signal can be delivered on.";
}

/// [`AT_CLKTCK`]'s value: `USER_HZ`, fixed by the ABI.
pub const CLOCK_TICKS: u64 = 100;
