//! What screens look like after bytes; and, for any bytes, what they never are.

use std::string::String;
use std::vec::Vec;

use proptest::prelude::{ProptestConfig, any, prop, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};

use crate::{Attributes, Cell, Emulator};

/// Rows and columns of most cases.
const SIZE: (usize, usize) = (5, 10);

fn screen(bytes: &[u8]) -> Emulator {
    let mut screen = Emulator::new(SIZE.0, SIZE.1, 100).unwrap();
    screen.write(bytes);
    screen
}

/// The rows without blanks behind, joined by `/`, without empty rows behind.
fn picture(screen: &Emulator) -> String {
    let rows: Vec<String> = (0..screen.size().0).map(|row| screen.text(row)).collect();
    let rows: Vec<&str> = rows.iter().map(|row| row.trim_end()).collect();
    rows.join("/").trim_end_matches('/').into()
}

/// What is shown after `bytes`, and where the cursor is.
fn check(bytes: &str, expected: &str, cursor: (usize, usize)) {
    let whole = screen(bytes.as_bytes());
    assert_eq!(picture(&whole), expected, "{bytes:?}");
    assert_eq!(whole.cursor(), Some(cursor), "{bytes:?}");
    // In pieces it is the same.
    let mut pieces = screen(b"");
    for byte in bytes.bytes() {
        pieces.write(&[byte]);
    }
    assert_eq!(picture(&pieces), expected, "{bytes:?} byte by byte");
    assert_eq!(pieces.cursor(), whole.cursor(), "{bytes:?} byte by byte");
}

#[test]
fn prints_and_moves() {
    check("ab\r\ncd", "ab/cd", (1, 2));
    check("ab\ncd", "ab/  cd", (1, 4));
    check("abc\rX\x08Y", "Ybc", (0, 1));
    check("a\tb\tc", "a       bc", (0, 9));
    check("\x1b[3;4HX\x1b[AY\x1b[2DZ\x1b[BW", "/   ZY/   XW", (2, 5));
    check("\x1b[99;99HX", "////         X", (4, 9));
    check("\x1b[2EX\x1b[FY\x1b[5GZ\x1b[4dW", "/Y   Z/X/     W", (3, 6));
    check("a\x07b\x00c\x7f", "abc", (0, 3));
    check("x\x1bEy\x1bDz\x1bMw", "x/y w/ z", (1, 3));
}

#[test]
fn wraps_long_lines_only_when_more_comes() {
    check("0123456789", "0123456789", (0, 9));
    check("0123456789a", "0123456789/a", (1, 1));
    check("0123456789\rb", "b123456789", (0, 1));
    check("0123456789\x1b[Kb", "012345678b", (0, 9));
    check("\x1b[?7l0123456789abc", "012345678c", (0, 9));
    check("\x1b[?7l0123\x1b[?7h456789ab", "0123456789/ab", (1, 2));
}

#[test]
fn scrolls_and_remembers() {
    let mut screen = screen(b"");
    for line in 0..1000 {
        screen.write(std::format!("line {line}\r\n").as_bytes());
    }
    assert_eq!(picture(&screen), "line 996/line 997/line 998/line 999");
    screen.scroll_back(3);
    assert_eq!(
        picture(&screen),
        "line 993/line 994/line 995/line 996/line 997"
    );
    assert_eq!(screen.cursor(), None);
    screen.scroll_back(isize::MAX);
    assert_eq!(screen.text(0).trim_end(), "line 896");
    screen.scroll_back(isize::MIN);
    assert_eq!(screen.text(0).trim_end(), "line 996");
    screen.scroll_back(5);
    screen.write(b"x");
    assert_eq!(screen.text(4).trim_end(), "x");
    screen.write(b"\x1b[3J");
    screen.scroll_back(5);
    assert_eq!(screen.text(4).trim_end(), "x");
}

#[test]
fn scrolls_a_region_only() {
    let five = "1\r\n2\r\n3\r\n4\r\n5";
    let after = |more: &str| std::format!("{five}{more}");
    check(&after("\x1b[2;4r\x1b[4H\n"), "1/3/4//5", (3, 0));
    check(&after("\x1b[2;4r\x1b[2H\x1bM"), "1//2/3/5", (1, 0));
    check(&after("\x1b[2;4r\x1b[2S"), "1/4///5", (0, 0));
    check(&after("\x1b[2;4r\x1b[T"), "1//2/3/5", (0, 0));
    check(&after("\x1b[2;4r\x1b[5H\nX"), "1/2/3/4/X", (4, 1));
    check(&after("\x1b[2;4r\x1b[3H\x1b[L"), "1/2//3/5", (2, 0));
    check(&after("\x1b[2;4r\x1b[2H\x1b[9M"), "1////5", (1, 0));
    check(&after("\x1b[2;4r\x1b[5H\x1b[L"), "1/2/3/4/5", (4, 0));
    check(&after("\x1b[2;4r\x1b[?6hX\x1b[9HY"), "1/X/3/Y/5", (3, 1));
    check(&after("\x1b[4;2rX"), "1/2/3/4/5X", (4, 2));
    // The cursor stops at the region's ends.
    check(&after("\x1b[2;4r\x1b[3H\x1b[9AX"), "1/X/3/4/5", (1, 1));
    check(&after("\x1b[2;4r\x1b[3H\x1b[9BX"), "1/2/3/X/5", (3, 1));
}

#[test]
fn changes_rows() {
    let row = |more: &str| std::format!("0123456789{more}");
    check(&row("\x1b[4G\x1b[2@"), "012  34567", (0, 3));
    check(&row("\x1b[4G\x1b[2P"), "01256789", (0, 3));
    check(&row("\x1b[4G\x1b[3X"), "012   6789", (0, 3));
    check(&row("\x1b[4G\x1b[99P"), "012", (0, 3));
    check(&row("\x1b[4G\x1b[K"), "012", (0, 3));
    check(&row("\x1b[4G\x1b[1K"), "    456789", (0, 3));
    check(&row("\x1b[4G\x1b[2K"), "", (0, 3));
    check(&row("\x1b[4G\x1b[4hab\x1b[4lc"), "012abc4567", (0, 6));
    check("ab\x1b[3b", "abbbb", (0, 5));
}

#[test]
fn erases_the_screen() {
    let three = "111\r\n222\r\n333\x1b[2;2H";
    let after = |more: &str| std::format!("{three}{more}");
    check(&after("\x1b[J"), "111/2", (1, 1));
    check(&after("\x1b[1J"), "/  2/333", (1, 1));
    check(&after("\x1b[2J"), "", (1, 1));
    check(&after("\x1bc"), "", (0, 0));
    check(
        "\x1b#8\x1b[2;5r",
        "EEEEEEEEEE/EEEEEEEEEE/EEEEEEEEEE/EEEEEEEEEE/EEEEEEEEEE",
        (0, 0),
    );
}

#[test]
fn stops_at_tabulators() {
    check("\x1b[3g\x1b[4G\x1bH\r\tX\tY", "   X     Y", (0, 9));
    check("\x1b[9GX\x1b[2Zy", "y       X", (0, 1));
    check("\x1b[2Ix", "         x", (0, 9));
}

#[test]
fn saves_and_restores() {
    check("\x1b[2;3H\x1b7\x1b[4;1HX\x1b8Y", "/  Y//X", (1, 3));
    check("ab\x1b[s\r\n\x1b[uc", "abc", (0, 3));
    check("ab\x1b[?1049hXY\x1b[2;2HZ", "  XY/ Z", (1, 2));
    check("ab\x1b[?1049hXY\x1b[2;2HZ\x1b[?1049lc", "abc", (0, 3));
    check("ab\x1b[?47hXY\x1b[?47l", "ab", (0, 4));
}

#[test]
fn the_alternate_screen_has_no_history() {
    let mut screen = screen(b"a\r\nb\r\nc\r\nd\r\ne\r\nf\x1b[?1049h");
    for _ in 0..50 {
        screen.write(b"\r\nnot kept");
    }
    screen.scroll_back(9);
    assert_eq!(screen.text(0).trim_end(), "not kept");
    screen.write(b"\x1b[?1049l");
    screen.scroll_back(9);
    assert_eq!(picture(&screen), "a/b/c/d/e");
}

#[test]
fn draws_lines() {
    check("\x1b(0lqk\x1b(B lqk", "┌─┐ lqk", (0, 7));
    check("\x1b)0\x0elqk\x0f lqk", "┌─┐ lqk", (0, 7));
}

#[test]
fn keeps_wide_characters_whole() {
    check("日本", "日本", (0, 4));
    check("日本\x1b[2GX", " X本", (0, 2));
    check("日本\x1b[3GX", "日X", (0, 3));
    check("日本\x1b[4GX", "日 X", (0, 4));
    check("012345678日", "012345678/日", (1, 2));
    check("01234567日\x1b[1G\x1b[@", " 01234567", (0, 0));
    check("日本\x1b[G\x1b[P", " 本", (0, 0));
    check("日本\x1b[2G\x1b[X", "  本", (0, 1));
    check("e\u{301}x", "ex", (0, 2));
}

#[test]
fn reads_utf8_of_any_kind() {
    check("äöü€", "äöü€", (0, 4));
    let mut broken = screen(b"a\xc3(\xff\xe2\x82b");
    assert_eq!(picture(&broken), "a\u{fffd}(\u{fffd}\u{fffd}b");
    broken.write(b"\r\n\xe2\x82");
    broken.write(b"\xacx");
    assert_eq!(broken.text(1).trim_end(), "€x");
}

#[test]
fn ends_sequences_that_are_none() {
    check("a\x1b[12;\x18b", "ab", (0, 2));
    check("a\x1b[1;2;3;4;5;6;7;8;9zb", "ab", (0, 2));
    check("a\x1b]0;a title\x07b", "ab", (0, 2));
    check("a\x1b]0;a title\x1b\\b", "ab", (0, 2));
    check("a\x1bPq#1\x1b\\b", "ab", (0, 2));
    check("a\x1b]P1a0b0c0b\x1b]Rc", "abc", (0, 3));
    check("a\x1b[3\nCb", "a/    b", (1, 5));
}

/// Foreground, background and attributes of the only cell.
fn pen(sequence: &str, expected: (u8, u8), attributes: Attributes) {
    let screen = screen(std::format!("{sequence}x").as_bytes());
    let cell = screen.row(0)[0];
    let colours = (cell.foreground().number(), cell.background().number());
    assert_eq!(colours, expected, "{sequence:?}");
    assert_eq!(cell.attributes, attributes, "{sequence:?}");
}

#[test]
fn colours_and_attributes() {
    let none = Attributes::empty();
    pen("", (7, 0), none);
    pen("\x1b[31;44m", (1, 4), none);
    pen("\x1b[91;104m", (9, 12), none);
    pen("\x1b[31;44;39;49m", (7, 0), none);
    pen(
        "\x1b[1;4;7;31m",
        (1, 0),
        Attributes::BOLD | Attributes::UNDERLINE | Attributes::REVERSE,
    );
    pen("\x1b[1;2;3;4;5;7;8m\x1b[22;23;24;25;27;28m", (7, 0), none);
    pen("\x1b[1;31m\x1b[m", (7, 0), none);
    pen("\x1b[38;5;196;48;5;21m", (1, 4), none);
    pen("\x1b[38:5:15m", (15, 0), none);
    pen("\x1b[38;2;255;85;85m", (9, 0), none);
    pen("\x1b[38:2::0:170:0m", (2, 0), none);
    pen("\x1b[38:2:0:170:0m", (2, 0), none);
    pen("\x1b[38;2;300;0;0m", (7, 0), none);
    pen("\x1b[38m\x1b[48;5m\x1b[38;2;1m", (7, 0), none);
    pen("\x1b[4m\x1b[4:0m", (7, 0), none);
}

#[test]
fn erasing_takes_the_background() {
    let screen = screen(b"\x1b[44mab\x1b[K\n");
    let backs: Vec<u8> = screen
        .row(0)
        .iter()
        .map(|c| c.background().number())
        .collect();
    assert_eq!(backs, [4; 10]);
    assert_eq!(screen.row(1)[0], Cell::BLANK);
}

#[test]
fn answers_what_it_is_asked() {
    let check = |bytes: &[u8], expected: &[u8]| {
        let mut screen = screen(bytes);
        let mut replies = [0; 64];
        let count = screen.take_replies(&mut replies);
        assert_eq!(&replies[..count], expected, "{bytes:?}");
        assert!(!screen.has_replies());
    };
    check(b"\x1b[c", b"\x1b[?6c");
    check(b"\x1bZ", b"\x1b[?6c");
    check(b"\x1b[5n", b"\x1b[0n");
    check(b"\x1b[2;3H\x1b[6n", b"\x1b[2;3R");
    check(b"\x1b[2;4r\x1b[?6h\x1b[2;3H\x1b[6n", b"\x1b[2;3R");
    check(b"\x1b[18t", b"\x1b[8;5;10t");
    check(b"\x1b[7n\x1b[3c", b"");
}

#[test]
fn tells_modes() {
    let mut screen = screen(b"\x1b[?1h\x1b=\x1b[?2004h\x1b[?25l");
    let modes = screen.modes();
    assert!(modes.application_cursor && modes.application_keypad && modes.bracketed_paste);
    assert_eq!(screen.cursor(), None);
    assert!(!screen.take_bell());
    screen.write(b"\x1b[!p\x07");
    let modes = screen.modes();
    assert!(!modes.application_cursor && !modes.application_keypad && modes.cursor);
    assert!(screen.take_bell() && !screen.take_bell());
}

#[test]
fn draws_only_what_changed() {
    let drawn = |screen: &mut Emulator| {
        let mut rows = Vec::new();
        screen.draw(|row, _| rows.push(row));
        rows
    };
    let mut screen = screen(b"");
    assert_eq!(drawn(&mut screen), [0, 1, 2, 3, 4]);
    assert!(!screen.is_dirty());
    screen.write(b"\x1b[3Hx");
    assert_eq!(drawn(&mut screen), [2]);
    screen.write(b"\x1b[2;4r\x1b[S");
    assert_eq!(drawn(&mut screen), [1, 2, 3]);
    screen.write(b"\x1b[H\x1b[31m\x1b[c");
    assert_eq!(drawn(&mut screen), [0; 0]);
    screen.touch();
    assert_eq!(drawn(&mut screen), [0, 1, 2, 3, 4]);
}

#[test]
fn resizes_with_what_fits() {
    let mut screen = screen(b"one\r\ntwo\r\nthree\r\nfour\r\nfive");
    screen.resize(3, 4).unwrap();
    assert_eq!(picture(&screen), "thre/four/five");
    assert_eq!(screen.cursor(), Some((2, 3)));
    screen.scroll_back(1);
    assert_eq!(screen.text(0).trim_end(), "two");
    screen.resize(6, 20).unwrap();
    assert_eq!(picture(&screen), "thre/four/five");
    screen.write(b"\x1b[6;20HX");
    assert_eq!(screen.cursor(), Some((5, 19)));
    screen.resize(0, 0).unwrap();
    assert_eq!(screen.size(), (1, 1));
    screen.write("abc日\r\n\x1b[5L\x1b[5P\x1b[5@\x1b[1;1r\tx".as_bytes());
    assert_eq!(picture(&screen), "x");
    screen.resize(usize::MAX, usize::MAX).unwrap();
    assert_eq!(screen.size(), (1024, 1024));
}

#[test]
fn resizes_both_screens() {
    let mut screen = screen(b"main\x1b[?1049halternate");
    screen.resize(3, 6).unwrap();
    assert_eq!(picture(&screen), "    al/ate");
    screen.write(b"\x1b[?1049l");
    assert_eq!(picture(&screen), "main");
}

/// What must hold whatever was written.
fn is_sound(screen: &Emulator) {
    let (rows, columns) = screen.size();
    if let Some((row, column)) = screen.cursor() {
        assert!(row < rows && column < columns);
    }
    for row in 0..rows {
        let cells = screen.row(row);
        for (column, cell) in cells.iter().enumerate() {
            let wide = cell.attributes.contains(Attributes::WIDE);
            let other = cells
                .get(column + 1)
                .is_some_and(|next| next.attributes.contains(Attributes::SECOND_HALF));
            assert_eq!(wide, other, "row {row}, column {column}");
        }
        let first = cells.first().map(|cell| cell.attributes);
        assert!(first.is_none_or(|first| !first.contains(Attributes::SECOND_HALF)));
    }
}

/// Something a hostile program writes: bytes, or what looks like a sequence.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        Just(String::new()),
        (0..12_u32).prop_map(|n| std::format!("{n}")),
        any::<u32>().prop_map(|n| std::format!("{n}")),
    ];
    let numbers = prop::collection::vec(number, 0..5).prop_map(|all| all.join(";"));
    let marks = prop_oneof![Just(""), Just("?"), Just(">"), Just("!")];
    let sequence = (marks, numbers, 0x40..0x7f_u8)
        .prop_map(|(mark, numbers, last)| std::format!("\x1b[{mark}{numbers}{}", char::from(last)));
    let private = (
        prop_oneof![
            Just(1_u32),
            Just(5),
            Just(6),
            Just(7),
            Just(25),
            Just(47),
            Just(1047),
            Just(1048),
            Just(1049),
        ],
        any::<bool>(),
    )
        .prop_map(|(n, on)| std::format!("\x1b[?{n}{}", if on { 'h' } else { 'l' }));
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        "[ -~]{0,30}".prop_map(String::into_bytes),
        "[日本語aé\r\n\t\u{8}]{0,20}".prop_map(String::into_bytes),
        sequence.prop_map(String::into_bytes),
        private.prop_map(String::into_bytes),
        (0x20..0x7f_u8).prop_map(|byte| std::vec![0x1b, byte]),
        Just(b"\x1b[4h".to_vec()),
        Just(b"\x1b]P12".to_vec()),
    ]
}

/// What happens to a screen.
#[derive(Clone, Debug)]
enum Step {
    Write(Vec<u8>),
    Resize(usize, usize),
    Back(isize),
    Draw,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => hostile().prop_map(Step::Write),
        1 => (0..12_usize, 0..12_usize).prop_map(|(rows, columns)| Step::Resize(rows, columns)),
        1 => any::<isize>().prop_map(Step::Back),
        1 => Just(Step::Draw),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// `cargo xtask fuzz terminal` tries more.
    #[test]
    fn survives_any_program(
        rows in 1..8_usize,
        columns in 1..12_usize,
        history in 0..6_usize,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut screen = Emulator::new(rows, columns, history).unwrap();
        let mut shown: Vec<Vec<Cell>> = Vec::new();
        for step in steps {
            match step {
                Step::Write(bytes) => screen.write(&bytes),
                Step::Resize(rows, columns) => {
                    screen.resize(rows, columns).unwrap();
                    shown.clear();
                }
                Step::Back(lines) => screen.scroll_back(lines),
                Step::Draw => {
                    shown.resize(screen.size().0, Vec::new());
                    screen.draw(|row, cells| shown[row] = cells.to_vec());
                    // Who draws what changed has drawn what there is.
                    for (row, cells) in shown.iter().enumerate() {
                        assert_eq!(cells, screen.row(row));
                    }
                }
            }
            is_sound(&screen);
        }
    }

    /// What is shown does not depend on where the bytes were cut.
    #[test]
    fn pieces_make_no_difference(all in prop::collection::vec(hostile(), 0..20), cut in 1..7_usize) {
        let bytes = all.concat();
        let mut whole = screen(&bytes);
        let mut pieces = screen(b"");
        for piece in bytes.chunks(cut) {
            pieces.write(piece);
        }
        assert_eq!(picture(&whole), picture(&pieces));
        assert_eq!(whole.cursor(), pieces.cursor());
        let mut replies = [[0; 200]; 2];
        let counts = [whole.take_replies(&mut replies[0]), pieces.take_replies(&mut replies[1])];
        assert_eq!(counts[0], counts[1]);
        assert_eq!(replies[0], replies[1]);
    }
}
