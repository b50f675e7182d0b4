//! Takes the kernel's records out of its log, and puts them in words where they
//! belong; everything else of the log passes as it is.

use std::{
    collections::HashSet,
    io::{self, Write as _},
};

use anyhow::{Result, bail};

use super::{record::Record, show, summary::Summary, table};
use crate::{
    arch::Arch,
    bridge::Sink,
    lines::{ByLine, TakeLines},
};

/// What is to be shown.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only calls of these names; all if there is none.
    pub only: Vec<String>,
    /// Counts them instead of showing each.
    pub count: bool,
}

impl Options {
    /// Whether every name is a call's.
    ///
    /// # Errors
    /// If one is not; names that are like it are in the error.
    pub fn check(&self) -> Result<()> {
        let mut names = self.only.iter();
        let Some(name) = names.find(|name| !table::is_known(name)) else {
            return Ok(());
        };
        let near = table::names_like(name);
        let meant = match near.as_slice() {
            [] => "docs/syscalls.md has those it knows".to_owned(),
            near => format!("it knows `{}`", near.join("`, `")),
        };
        bail!("Ochre knows no system call `{name}`; {meant}")
    }
}

/// A log's way, with a branch for the records in it.
pub type Splitter = ByLine<Branch>;

/// What a [`Splitter`] does with the lines.
pub struct Branch {
    arch: Arch,
    options: Options,
    log: Sink,
    trace: Sink,
    summary: Summary,
    /// Threads that were seen: one alone needs no number in front.
    threads: HashSet<u32>,
}

impl core::fmt::Debug for Branch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Branch")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Splitter {
    /// Records of a guest on `arch` go to `trace`, the rest to `log`.
    pub fn new(arch: Arch, options: Options, log: Sink, trace: Sink) -> Self {
        Self::to(Branch {
            arch,
            options,
            log,
            trace,
            summary: Summary::default(),
            threads: HashSet::new(),
        })
    }
}

impl Branch {
    fn tell(&mut self, thread: u32, text: &str) -> io::Result<()> {
        self.threads.insert(thread);
        if self.threads.len() > 1 {
            write!(self.trace, "[pid {thread:5}] ")?;
        }
        writeln!(self.trace, "{text}")?;
        self.trace.flush()
    }
}

impl TakeLines for Branch {
    const LONGEST: usize = 16 << 10;

    fn take(&mut self, line: &[u8]) -> io::Result<()> {
        let record = core::str::from_utf8(line).ok().and_then(Record::parse);
        // A reader of the trace that went away is no reason to lose the log.
        let _ = match record {
            None => return self.log.write_all(line),
            Some(Record::Call(call)) => {
                let name = show::name(self.arch, call.number);
                if !self.options.only.is_empty() && !self.options.only.contains(&name) {
                    Ok(())
                } else if self.options.count {
                    self.summary.add(&call);
                    Ok(())
                } else {
                    let text = show::call(self.arch, &call);
                    self.tell(call.thread, &text)
                }
            }
            Some(_) if self.options.count => Ok(()),
            Some(Record::Signal { thread, number }) => self.tell(thread, &show::signal(number)),
            Some(Record::End { thread, status }) => self.tell(thread, &show::end(status)),
        };
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.flush()
    }

    fn end(&mut self) {
        if self.options.count {
            let _ = self.summary.write(self.arch, &mut self.trace);
        }
        let _ = self.trace.flush();
        let _ = self.log.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use super::{Options, Splitter};
    use crate::arch::Arch;

    /// Bytes that can still be read when the writer is gone.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const LOG: &str = "[    0.1] INFO  hello\n\
                       trace call 1 0 0 39 0 0 0 0 0 0 1\n\
                       trace call 2 0 0 3 5 0 0 0 0 0 -9\n\
                       trace end 1 0 0\n\
                       [    0.2] INFO  no newline";

    fn split(options: Options) -> (String, String) {
        let (log, trace) = (Kept::default(), Kept::default());
        let mut splitter = Splitter::new(
            Arch::X86_64,
            options,
            Box::new(log.clone()),
            Box::new(trace.clone()),
        );
        // However the bytes come.
        for piece in LOG.as_bytes().chunks(7) {
            splitter.write_all(piece).unwrap();
        }
        drop(splitter);
        (log.text(), trace.text())
    }

    #[test]
    fn records_and_the_log_part_ways() {
        let (log, trace) = split(Options::default());
        assert_eq!(log, "[    0.1] INFO  hello\n[    0.2] INFO  no newline");
        assert_eq!(
            trace,
            "getpid() = 1 <0.000000>\n\
             [pid     2] close(5) = -1 EBADF (Bad file descriptor) <0.000000>\n\
             [pid     1] +++ exited with 0 +++\n"
        );
    }

    #[test]
    fn names_choose_and_counts_replace() {
        let only = Options {
            only: vec!["close".to_owned()],
            count: false,
        };
        let (_, trace) = split(only.clone());
        assert!(trace.starts_with("close(5)") && !trace.contains("getpid"));
        let (log, trace) = split(Options {
            count: true,
            ..only
        });
        assert!(log.contains("hello"));
        assert!(trace.contains("close") && !trace.contains("getpid") && !trace.contains("exited"));
    }

    #[test]
    fn a_name_without_a_call_is_said_with_its_like() {
        let error = |names: &[&str]| {
            let options = Options {
                only: names.iter().map(|name| (*name).to_owned()).collect(),
                count: false,
            };
            options.check().map_err(|error| error.to_string())
        };
        assert_eq!(error(&[]), Ok(()));
        assert_eq!(error(&["openat", "read"]), Ok(()));
        assert_eq!(
            error(&["read", "opeanat"]),
            Err(
                "Ochre knows no system call `opeanat`; it knows `openat`, `open`, `openat2`".into()
            )
        );
        assert_eq!(
            error(&["%file"]),
            Err("Ochre knows no system call `%file`; docs/syscalls.md has those it knows".into())
        );
    }
}
