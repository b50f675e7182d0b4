//! What is typed, what the screen shows, what a read gets.

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

use super::{LineDiscipline, TerminalSignal};
use crate::tty::Output;
use ochre_abi::termios::{Termios, cc, iflag, lflag, oflag};

struct Bench {
    discipline: LineDiscipline,
    output: Output,
    signals: Vec<TerminalSignal>,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Termios)) -> Bench {
        let mut termios = Termios::initial();
        change(&mut termios);
        Bench {
            discipline: LineDiscipline::new(termios),
            output: Output::new(1 << 16),
            signals: Vec::new(),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Termios)) {
        let mut termios = *self.discipline.termios();
        change(&mut termios);
        self.discipline.set_termios(termios);
    }

    fn type_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let effects = self.discipline.receive(*byte, &mut self.output);
            self.signals.extend(effects.signal);
        }
    }

    fn read(&mut self, want: usize) -> Option<Vec<u8>> {
        let mut got = Vec::new();
        let count = self.discipline.read(want, &mut |bytes| {
            got.extend_from_slice(bytes);
            bytes.len()
        })?;
        assert_eq!(count, got.len());
        Some(got)
    }

    fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.read(SIZE_PLENTY) {
            lines.push(line.escape_ascii().to_string());
        }
        lines
    }

    fn screen(&mut self) -> String {
        let mut bytes = Vec::new();
        while !self.output.queue().is_empty() {
            bytes.extend_from_slice(self.output.queue().front());
            let count = self.output.queue().front().len();
            self.output.queue_mut().consume(count);
        }
        bytes.escape_ascii().to_string()
    }
}

const SIZE_PLENTY: usize = 10_000;

/// Types `typed` under the initial modes with `change`; compares the reads and
/// the screen.
#[track_caller]
fn check(change: impl FnOnce(&mut Termios), typed: &[u8], lines: &[&str], screen: &str) {
    let mut bench = Bench::new(change);
    bench.type_bytes(typed);
    assert_eq!(bench.lines(), lines);
    assert_eq!(bench.screen(), screen);
}

fn same(_: &mut Termios) {}

#[test]
fn gives_whole_lines_only() {
    check(
        same,
        b"one\rtwo\nthr",
        &["one\\n", "two\\n"],
        "one\\r\\ntwo\\r\\nthr",
    );
}

#[test]
fn a_short_read_leaves_the_rest_of_the_line() {
    let mut bench = Bench::new(same);
    bench.type_bytes(b"hello\nyou\n");
    assert_eq!(bench.read(3).as_deref(), Some(&b"hel"[..]));
    assert_eq!(bench.discipline.readable_len(), 7);
    assert_eq!(bench.read(0).as_deref(), Some(&b""[..]));
    assert_eq!(bench.read(3).as_deref(), Some(&b"lo\n"[..]));
    assert_eq!(bench.read(9).as_deref(), Some(&b"you\n"[..]));
    assert_eq!(bench.read(9), None);
}

#[test]
fn a_sink_that_stops_early_loses_nothing() {
    let mut bench = Bench::new(same);
    bench.type_bytes(b"abc\x04");
    assert_eq!(
        bench.discipline.read(9, &mut |bytes| bytes.len().min(2)),
        Some(2)
    );
    assert_eq!(bench.read(9).as_deref(), Some(&b"c"[..]));
    assert_eq!(bench.read(9), None);
}

#[test]
fn end_of_file_ends_a_read_and_is_not_data() {
    check(same, b"ab\x04\x04", &["ab", ""], "ab");
    let mut bench = Bench::new(same);
    bench.type_bytes(b"ab\x04");
    assert!(bench.discipline.is_readable(1));
    // A read of exactly what is there takes the end with it.
    assert_eq!(bench.read(2).as_deref(), Some(&b"ab"[..]));
    assert_eq!(bench.read(2), None);
    bench.type_bytes(b"abc\x04");
    assert_eq!(bench.read(2).as_deref(), Some(&b"ab"[..]));
    assert_eq!(bench.read(2).as_deref(), Some(&b"c"[..]));
    assert_eq!(bench.read(2), None);
}

#[test]
fn erases_characters() {
    check(
        same,
        b"abc\x7f\x7fx\n",
        &["ax\\n"],
        "abc\\x08 \\x08\\x08 \\x08x\\r\\n",
    );
    check(same, b"\x7f\x7fa\n", &["a\\n"], "a\\r\\n");
    check(same, b"a\n\x7fb\n", &["a\\n", "b\\n"], "a\\r\\nb\\r\\n");
    check(
        |t| t.lflag &= !lflag::ECHOE,
        b"ab\x7f\n",
        &["a\\n"],
        "ab^?\\r\\n",
    );
    check(|t| t.lflag &= !lflag::ECHO, b"ab\x7f\n", &["a\\n"], "");
}

#[test]
fn erases_control_characters_as_they_are_shown() {
    check(
        same,
        b"\x01\x7f\n",
        &["\\n"],
        "^A\\x08 \\x08\\x08 \\x08\\r\\n",
    );
    check(
        |t| t.lflag &= !lflag::ECHOCTL,
        b"\x01\x7f\n",
        &["\\n"],
        "\\x01\\r\\n",
    );
}

#[test]
fn erases_whole_characters_of_utf8() {
    let utf8 = |t: &mut Termios| t.iflag |= iflag::IUTF8;
    check(
        utf8,
        "aé\u{7f}\n".as_bytes(),
        &["a\\n"],
        "a\\xc3\\xa9\\x08 \\x08\\r\\n",
    );
    check(
        same,
        "é\u{7f}\n".as_bytes(),
        &["\\xc3\\n"],
        "\\xc3\\xa9\\x08 \\x08\\r\\n",
    );
    // No beginning: nothing to erase.
    check(utf8, b"\xa9\x7f\n", &["\\xa9\\n"], "\\xa9\\r\\n");
}

#[test]
fn erases_words_and_lines() {
    check(
        same,
        b"one two  \x17\n",
        &["one \\n"],
        "one two  \\x08 \\x08\\x08 \\x08\\x08 \\x08\\x08 \\x08\\x08 \\x08\\r\\n",
    );
    check(same, b"a-b\x17\n", &["a-\\n"], "a-b\\x08 \\x08\\r\\n");
    check(
        same,
        b"abc\x15d\n",
        &["d\\n"],
        "abc\\x08 \\x08\\x08 \\x08\\x08 \\x08d\\r\\n",
    );
    check(
        |t| t.lflag &= !lflag::ECHOKE,
        b"abc\x15d\n",
        &["d\\n"],
        "abc^U\\r\\nd\\r\\n",
    );
    check(
        |t| t.lflag &= !lflag::IEXTEN,
        b"ab\x17\n",
        &["ab\\x17\\n"],
        "ab^W\\r\\n",
    );
}

#[test]
fn erases_a_tab_back_to_the_column_before_it() {
    check(
        same,
        b"ab\t\x7f\n",
        &["ab\\n"],
        "ab\\t\\x08\\x08\\x08\\x08\\x08\\x08\\r\\n",
    );
    check(
        same,
        b"\t\ta\t\x7f\n",
        &["\\t\\ta\\n"],
        "\\t\\ta\\t\\x08\\x08\\x08\\x08\\x08\\x08\\x08\\r\\n",
    );
    // After a prompt the line does not begin at column 0.
    let mut bench = Bench::new(same);
    let termios = *bench.discipline.termios();
    for byte in b"$ " {
        assert!(bench.output.put(&termios, *byte));
    }
    bench.type_bytes(b"a\t\x7f");
    assert_eq!(bench.screen(), "$ a\\t\\x08\\x08\\x08\\x08\\x08");
}

#[test]
fn prints_erased_characters_where_asked() {
    check(
        |t| t.lflag |= lflag::ECHOPRT,
        b"abc\x7f\x7fd\n",
        &["ad\\n"],
        "abc\\\\cb/d\\r\\n",
    );
}

#[test]
fn takes_the_next_character_literally() {
    check(
        same,
        b"a\x16\x03\x16\x7f\n",
        &["a\\x03\\x7f\\n"],
        "a^\\x08^C^\\x08^?\\r\\n",
    );
    let mut bench = Bench::new(same);
    bench.type_bytes(b"\x16\n");
    assert_eq!(bench.read(9), None);
    assert!(bench.signals.is_empty());
}

#[test]
fn shows_the_line_again() {
    check(same, b"ab\x12c\n", &["abc\\n"], "ab^R\\r\\nabc\\r\\n");
}

#[test]
fn other_ends_of_line() {
    let change = |t: &mut Termios| {
        t.cc[cc::VEOL] = b';';
        t.cc[cc::VEOL2] = b'!';
    };
    check(change, b"a;b!c\n", &["a;", "b!", "c\\n"], "a;b!c\\r\\n");
}

#[test]
fn characters_make_signals_and_flush() {
    let mut bench = Bench::new(same);
    bench.type_bytes(b"done\nab\x03\x1c\x1a");
    assert_eq!(
        bench.signals,
        [
            TerminalSignal::Interrupt,
            TerminalSignal::Quit,
            TerminalSignal::Suspend
        ]
    );
    assert_eq!(bench.screen(), "^Z");
    assert_eq!(bench.read(9), None);

    let mut bench = Bench::new(|t| t.lflag |= lflag::NOFLSH);
    bench.type_bytes(b"a\x03b\n");
    assert_eq!(bench.lines(), ["ab\\n"]);
    assert_eq!(bench.screen(), "a^Cb\\r\\n");

    let mut bench = Bench::new(|t| t.lflag &= !lflag::ISIG);
    bench.type_bytes(b"\x03\n");
    assert_eq!(
        (bench.signals.len(), bench.lines()),
        (0, vec!["\\x03\\n".to_string()])
    );
}

#[test]
fn a_character_set_to_zero_is_off() {
    check(
        |t| t.cc[cc::VINTR] = 0,
        b"\0\x03\n",
        &["\\x00\\x03\\n"],
        "^@^C\\r\\n",
    );
}

#[test]
fn maps_returns_and_newlines() {
    check(
        |t| t.iflag |= iflag::IGNCR,
        b"a\rb\n",
        &["ab\\n"],
        "ab\\r\\n",
    );
    check(|t| t.iflag = iflag::INLCR, b"a\nb\x04", &["a\\rb"], "a^Mb");
    check(
        |t| t.iflag |= iflag::ISTRIP,
        b"\xe1\n",
        &["a\\n"],
        "a\\r\\n",
    );
    check(|t| t.iflag |= iflag::IUCLC, b"AB\n", &["ab\\n"], "ab\\r\\n");
}

#[test]
fn echoes_newlines_alone_where_asked() {
    check(
        |t| t.lflag = t.lflag & !lflag::ECHO | lflag::ECHONL,
        b"secret\n",
        &["secret\\n"],
        "\\r\\n",
    );
}

#[test]
fn stop_and_start_are_taken_out() {
    let mut bench = Bench::new(same);
    bench.type_bytes(b"a\x13");
    assert!(bench.discipline.is_stopped());
    bench.type_bytes(b"b");
    assert!(bench.discipline.is_stopped());
    bench.type_bytes(b"\x11\n");
    assert!(!bench.discipline.is_stopped());
    assert_eq!(bench.lines(), ["ab\\n"]);

    let mut bench = Bench::new(|t| t.iflag |= iflag::IXANY);
    bench.type_bytes(b"\x13x");
    assert!(!bench.discipline.is_stopped());

    let mut bench = Bench::new(|t| t.iflag &= !iflag::IXON);
    bench.type_bytes(b"\x13\n");
    assert!(!bench.discipline.is_stopped());
    assert_eq!(bench.lines(), ["\\x13\\n"]);

    // A terminal that is stopped and loses the mode must not stay mute.
    let mut bench = Bench::new(same);
    bench.type_bytes(b"\x13");
    bench.change(|t| t.iflag &= !iflag::IXON);
    assert!(!bench.discipline.is_stopped());
}

#[test]
fn raw_input_is_there_at_once() {
    let raw = |t: &mut Termios| {
        t.lflag &= !(lflag::ICANON | lflag::ECHO | lflag::ISIG);
        t.iflag = 0;
        t.oflag &= !oflag::OPOST;
    };
    let mut bench = Bench::new(raw);
    bench.type_bytes(b"a\r\x03\x04\xff");
    assert!(bench.discipline.is_readable(5));
    assert!(!bench.discipline.is_readable(6));
    assert_eq!(bench.read(2).as_deref(), Some(&b"a\r"[..]));
    assert_eq!(bench.read(9).as_deref(), Some(&b"\x03\x04\xff"[..]));
    assert_eq!(bench.read(9), None);
}

#[test]
fn changing_the_mode_keeps_what_was_typed() {
    let mut bench = Bench::new(same);
    bench.type_bytes(b"line\nab\x04cd");
    bench.change(|t| t.lflag &= !lflag::ICANON);
    assert_eq!(bench.read(99).as_deref(), Some(&b"line\nabcd"[..]));

    bench.type_bytes(b"xy");
    bench.change(|t| t.lflag |= lflag::ICANON);
    assert_eq!(bench.read(99).as_deref(), Some(&b"xy"[..]));
    bench.type_bytes(b"z\n");
    assert_eq!(bench.lines(), ["z\\n"]);
}

#[test]
fn an_overlong_line_is_cut_but_ends() {
    let mut bench = Bench::new(same);
    bench.type_bytes(&[b'x'; 5000]);
    assert!(bench.discipline.accepts());
    assert_eq!(bench.read(9), None);
    bench.type_bytes(b"\n");
    let line = bench.read(SIZE_PLENTY).expect("the line is there");
    assert_eq!(line.len(), 4096);
    assert_eq!(line.last(), Some(&b'\n'));

    let mut bench = Bench::new(|t| t.iflag |= iflag::IMAXBEL);
    bench.type_bytes(&[b'x'; 4097]);
    assert!(bench.screen().ends_with("x\\x07\\x07"));
}

#[test]
fn whole_lines_hold_the_device_back() {
    let mut bench = Bench::new(same);
    bench.type_bytes(b"\n");
    let mut taken = 1;
    while bench.discipline.accepts() {
        bench.type_bytes(b"x");
        taken += 1;
    }
    assert_eq!(taken, 4095);
    assert_eq!(bench.lines(), ["\\n"]);
    assert!(bench.discipline.accepts());
}

#[test]
fn asks_the_other_side_to_wait() {
    let mut bench = Bench::new(|t| {
        t.iflag |= iflag::IXOFF;
        t.lflag &= !lflag::ICANON;
    });
    assert_eq!(bench.discipline.input_flow_character(), None);
    bench.type_bytes(&[b'x'; 3500]);
    assert_eq!(bench.discipline.input_flow_character(), Some(0x13));
    assert_eq!(bench.discipline.input_flow_character(), None);
    let _ = bench.read(3000);
    assert_eq!(bench.discipline.input_flow_character(), Some(0x11));
    assert_eq!(bench.discipline.input_flow_character(), None);
}

#[test]
fn marks_0xff_under_parmrk() {
    check(
        |t| t.iflag |= iflag::PARMRK,
        b"\xff\n",
        &["\\xff\\xff\\n"],
        "\\xff\\r\\n",
    );
}

/// One step of a random session.
#[derive(Clone, Debug)]
enum Step {
    Type(Vec<u8>),
    Read(usize),
    Modes(u32, u32, u32),
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Type),
        2 => prop::collection::vec(prop_oneof![Just(b'\n'), Just(4), Just(0x7f), Just(0x17), Just(0x15), Just(b'a'), Just(b'\t'), Just(0xc3), Just(0xa9)], 0..300).prop_map(Step::Type),
        3 => (0_usize..200).prop_map(Step::Read),
        1 => (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(i, o, l)| Step::Modes(i, o, l)),
        1 => Just(Step::Flush),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Any session under any modes: no panic, a read never gives more than was
    /// asked, and what a poll calls readable is.
    #[test]
    fn survives_anything(steps in steps()) {
        let mut bench = Bench::new(same);
        for step in steps {
            match step {
                Step::Type(bytes) => bench.type_bytes(&bytes),
                Step::Read(want) => {
                    let readable = bench.discipline.is_readable(1);
                    let got = bench.read(want);
                    assert_eq!(readable, got.is_some());
                    assert!(got.is_none_or(|got| got.len() <= want));
                }
                Step::Modes(input, output, local) => bench.change(|t| {
                    t.iflag = input;
                    t.oflag = output;
                    t.lflag = local;
                }),
                Step::Flush => {
                    bench.discipline.flush_input();
                    assert_eq!(bench.discipline.readable_len(), 0);
                }
            }
            let _ = bench.screen();
        }
    }

    /// Raw mode with back-pressure is a pipe: every byte, in order.
    #[test]
    fn raw_mode_is_a_pipe(bytes in prop::collection::vec(any::<u8>(), 0..9000), want in 1_usize..600) {
        let mut bench = Bench::new(|t| {
            t.lflag = 0;
            t.iflag = 0;
        });
        let mut got = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() || bench.discipline.is_readable(1) {
            while let Some((byte, after)) = rest.split_first()
                && bench.discipline.accepts()
            {
                bench.type_bytes(&[*byte]);
                rest = after;
            }
            got.extend(bench.read(want).unwrap_or_default());
        }
        assert_eq!(got, bytes);
    }

    /// Lines of printable text come out as typed, however they are read.
    #[test]
    fn lines_come_out_as_typed(lines in prop::collection::vec("[ -~]{0,200}", 0..40), want in 1_usize..300) {
        let mut bench = Bench::new(same);
        for line in lines {
            bench.type_bytes(line.as_bytes());
            bench.type_bytes(b"\n");
            let mut got = Vec::new();
            while let Some(part) = bench.read(want) {
                got.extend(part);
            }
            assert_eq!(got, [line.as_bytes(), b"\n"].concat());
        }
    }
}
