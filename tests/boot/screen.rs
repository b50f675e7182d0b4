//! A machine's screen: what programs, the log and a dying kernel put there is
//! read back as text and as a picture, on a PC with its adapter, and on AArch64
//! with a picture in memory.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{
    Arch, Case, Extent, Guest, Machine, Running, Screen, architectures, describe, extent,
    is_tested, prefix, shell_on, test_kernel,
};

use crate::shown::{COLUMNS, ROWS, Text, wait, wait_for_rows};

/// How long something may take until it is on the screen.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for arch in architectures() {
        let mut case = |name: &str, check: fn(Arch) -> Result<()>| {
            let name = format!("{}screen: {name}", prefix(arch));
            cases.push(Case::new(name, move || check(arch)));
        };
        case("picture", picture);
        if extent(arch) == Extent::All {
            case("text", text);
            case("console", console);
            case("last words", last_words);
            case("panic", panic);
        }
    }
    if is_tested(Arch::X86_64) {
        cases.push(Case::new("screen: a new mapping", new_mapping));
    }
    cases
}

/// The machine that `ochre --display` shows.
pub(super) fn machine(arch: Arch) -> Machine {
    match arch {
        Arch::X86_64 => Machine::Q35,
        Arch::Aarch64 => Machine::Virt,
    }
}

/// Waits for a line of input after each thing that is looked at.
const SCRIPT: &str = r#"
exec 3<>/dev/tty1
stty size <&3
show() { printf '\033c' >&3; "$@" >&3; echo done; read line; }
show seq 1000
show printf '%0100d\n' 7
show printf '\033[31;44mred on blue\033[0m \033[1;93;105mbright\033[m\n┌─┐ä日\n\033[5;3H'
show printf 'asked'
stty -icanon min 4 -echo <&3; printf '\033[3;7H\033[6n' >&3; dd bs=6 count=1 <&3 2>/dev/null | od -c | head -1
small() { stty rows 1 cols 1 <&3; stty size <&3; seq 99 >&3; stty rows 25 cols 80 <&3; printf '\033cgrown'; }
show small
show sh -c 'head -c 200000 /dev/urandom; printf "\033c\033]R\033ccalm"'
echo other >/dev/tty2
show printf 'first'
chvt 2 <&3; echo done; read line
chvt 1 <&3; echo done; read line
(chvt 9 <&3) 2>/dev/null || echo none
"#;

fn text(arch: Arch) -> Result<()> {
    let mut guest = shell_on(arch, SCRIPT)?
        .machine(machine(arch))
        .screen(Screen::Hidden)
        .stdin_later()
        .start()?;
    guest.expect("25 80\n", PATIENCE)?;
    let next = |guest: &mut Running| -> Result<()> {
        guest.send("\n")?;
        guest.expect("done\n", PATIENCE)?;
        Ok(())
    };
    guest.expect("done\n", PATIENCE)?;
    // A thousand lines scroll.
    let lines: Vec<String> = (977..=1000).map(|line| line.to_string()).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).chain([""]).collect();
    wait_for_rows(&mut guest, "the end of a thousand lines", &lines)?;
    next(&mut guest)?;
    // A long line goes on in the next row.
    let rows = [
        "0".repeat(80),
        format!("{}7", "0".repeat(19)),
        String::new(),
    ];
    wait_for_rows(
        &mut guest,
        "a long line",
        &rows.each_ref().map(String::as_str),
    )?;
    next(&mut guest)?;
    let rows = ["red on blue bright", "┌─┐ä■", "", "", ""];
    let shown = wait_for_rows(&mut guest, "a coloured line", &rows)?;
    // The adapter's colours: red 4 on blue 1, bright yellow on bright magenta.
    shown.has_colours(0, 0, 0x14)?;
    shown.has_colours(0, 11, 0x07)?;
    shown.has_colours(0, 12, 0xde)?;
    is_red_on_blue(&mut guest)?;
    next(&mut guest)?;
    wait_for_rows(&mut guest, "a word", &["asked", ""])?;
    guest.send("\n")?;
    // The answer to a question about the cursor is read as if it was typed.
    guest.expect(r"0000000 033   [   3   ;   7   R", PATIENCE)?;
    guest.expect("done\n", PATIENCE)?;
    wait_for_rows(&mut guest, "a terminal that was small", &["grown", ""])?;
    next(&mut guest)?;
    wait_for_rows(&mut guest, "a terminal after noise", &["calm", ""])?;
    next(&mut guest)?;
    wait_for_rows(&mut guest, "the first terminal", &["first", ""])?;
    next(&mut guest)?;
    wait_for_rows(&mut guest, "the second terminal", &["other", ""])?;
    next(&mut guest)?;
    wait_for_rows(&mut guest, "the first terminal again", &["first", ""])?;
    guest.send("\n")?;
    guest.expect("none\n", PATIENCE)?;
    let outcome = guest.wait()?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    Ok(())
}

/// The first place's points have two colours.
fn is_red_on_blue(guest: &mut Running) -> Result<()> {
    let picture = guest.screendump()?;
    let (width, height) = (picture.width() / COLUMNS, picture.height() / ROWS);
    let mut colours: Vec<[u8; 3]> = Vec::new();
    for (x, y) in (0..width).flat_map(|x| (0..height).map(move |y| (x, y))) {
        let colour = picture.at(x, y).context("a point outside the picture")?;
        if !colours.contains(&colour) {
            colours.push(colour);
        }
    }
    colours.sort_unstable();
    let is = |colour: [u8; 3], strong: usize| {
        colour
            .iter()
            .enumerate()
            .all(|(index, part)| (*part > 0x80) == (index == strong))
    };
    ensure!(
        matches!(colours[..], [blue, red] if is(blue, 2) && is(red, 0)),
        "the picture's colours: {colours:x?}"
    );
    Ok(())
}

/// The log, then a shell's prompt, on the screen; the shell's terminal is there.
fn console(arch: Arch) -> Result<()> {
    let mut guest = shell_on(arch, "tty; stty size; ps -o tty | tail -1; sh -i")?
        .machine(machine(arch))
        .screen(Screen::Hidden)
        .console(30, 100)
        .words("ochre.console=screen")
        .env("PS1", "ready> ")
        .stdin_later()
        .start()?;
    let text = wait(&mut guest, "a prompt", |text| {
        text.rows().iter().any(|row| row.starts_with("ready>"))
    })?;
    let rows = text.rows();
    let at = |wanted: &str| {
        let found = rows.iter().position(|row| row.starts_with(wanted));
        found.with_context(|| format!("no {wanted:?} in\n{}", rows.join("\n")))
    };
    let log = at("INFO")?;
    ensure!(rows[log].contains("ochre"), "{}", rows[log]);
    text.has_colours(log, 0, 0x02)?;
    let tty = at("/dev/tty1")?;
    ensure!(log < tty && rows[tty + 1] == "25 80", "{}", rows.join("\n"));
    guest.kill();
    Ok(())
}

/// Lines of an `A` and of a corner in the font, the leftmost point in the lowest bit.
const LETTER: [u8; 8] = [0x0c, 0x1e, 0x33, 0x33, 0x3f, 0x33, 0x33, 0x00];
const CORNER: [u8; 8] = [0x00, 0x00, 0x00, 0x00, 0xf8, 0x08, 0x08, 0x08];

/// Words of a hostile command line: memory, the interrupt controllers, a line
/// that nobody has, no device at all, and what is no place.
const WORDS: &str = "virtio_mmio.device=512@0x200000:5 virtio_mmio.device=4K@0xfee00000:6 \
    virtio_mmio.device=512@0xfeb02e00:5000 virtio_mmio.device=512@0xd0000000:7 \
    virtio_mmio.device=here";

/// A framebuffer shows characters, each in its place and colours, and what is
/// typed on virtio's keyboard reaches the program that reads there.
fn picture(arch: Arch) -> Result<()> {
    const SCRIPT: &str = r#"
        stty size </dev/tty1
        seq 100 >/dev/tty1
        printf '\033c\033[31;44mA\033[m\r\n ┌\033[25;80HA' >/dev/tty1
        echo done; read line </dev/tty1; echo "typed <$line>""#;
    let (machine, words) = match arch {
        Arch::X86_64 => (Machine::Microvm, WORDS),
        Arch::Aarch64 => (Machine::Virt, ""),
    };
    let mut guest = shell_on(arch, SCRIPT)?
        .machine(machine)
        .screen(Screen::Hidden)
        .words(words)
        .stdin_later()
        .start()?;
    guest.expect("25 80\ndone\n", PATIENCE)?;
    const RED: [u8; 3] = [0xaa, 0, 0];
    const BLUE: [u8; 3] = [0, 0, 0xaa];
    const WHITE: [u8; 3] = [0xaa; 3];
    const BLACK: [u8; 3] = [0; 3];
    let wanted = [
        (0, 0, LETTER, RED, BLUE),
        (1, 1, CORNER, WHITE, BLACK),
        (2, 0, [0; 8], WHITE, BLACK),
    ];
    let deadline = Instant::now() + PATIENCE;
    loop {
        let picture = guest.screendump()?;
        let shows = |&(row, column, lines, front, back): &(usize, usize, [u8; 8], _, _)| {
            (0..16).all(|y| {
                (0..8).all(|x| {
                    let colour = if lines[y / 2] >> x & 1 != 0 {
                        front
                    } else {
                        back
                    };
                    picture.at(column * 8 + x, row * 16 + y) == Some(colour)
                })
            })
        };
        if (picture.width(), picture.height()) == (640, 400) && wanted.iter().all(shows) {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "a picture of {}x{}, of {:?}",
            picture.width(),
            picture.height(),
            wanted.iter().map(shows).collect::<Vec<_>>()
        );
    }
    guest.control()?.type_text("Keys, {typed}\n")?;
    guest.expect("typed <Keys, {typed}>", PATIENCE)?;
    let outcome = guest.wait()?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    ensure!(
        outcome.log.contains("codes of Events"),
        "{}",
        describe(&outcome)
    );
    if arch == Arch::X86_64 {
        for refused in [
            "512@0x200000:5: there is memory",
            "4K@0xfee00000:6: a PC has no devices there",
            "512@0xfeb02e00:5000: no interrupt controller has the line",
            "here: the form is SIZE@ADDRESS:LINE",
        ] {
            ensure!(
                outcome.log.contains(refused),
                "{refused}: {}",
                describe(&outcome)
            );
        }
    }
    Ok(())
}

/// A dying kernel's words are white on red, over what was there.
fn last_words(arch: Arch) -> Result<()> {
    let mut guest = Guest::with_kernel(test_kernel(arch)?)
        .machine(machine(arch))
        .screen(Screen::Hidden)
        .words("ochre.boottest=last-words")
        .patience(PATIENCE)
        .start()?;
    let text = wait(&mut guest, "the last word", |text| {
        text.row(1) == "this is why"
    })?;
    ensure!(text.row(0) == "the end", "{}", text.row(0));
    for place in [0, 70] {
        text.has_colours(0, place, 0x4f)?;
    }
    guest.kill();
    Ok(())
}

/// What is written by a mapping that was not there before is on the screen.
fn new_mapping() -> Result<()> {
    let mut guest = Guest::with_kernel(test_kernel(Arch::X86_64)?)
        .machine(Machine::Q35)
        .screen(Screen::Hidden)
        .words("ochre.boottest=new-mapping")
        .patience(PATIENCE)
        .start()?;
    let text = wait(&mut guest, "the text", |text| {
        text.row(0).starts_with("seen by a new mapping")
    })?;
    text.has_colours(0, 0, 0x1f)?;
    guest.kill();
    Ok(())
}

/// A terminal that is not the first one is shown, and another processor writes
/// there while this one panics, by the keys that ask for it.
fn panic(arch: Arch) -> Result<()> {
    const SCRIPT: &str = r#"
        exec 3<>/dev/tty2
        chvt 2 <&3
        while :; do seq 10000; done >&3 &
        echo ready
        read line"#;
    let mut guest = shell_on(arch, SCRIPT)?
        .machine(machine(arch))
        .processors(2)
        .screen(Screen::Hidden)
        .words("ochre.panic=stay")
        .stdin_later()
        .start()?;
    guest.expect("ready\n", PATIENCE)?;
    wait(&mut guest, "numbers", |text| {
        text.row(0).parse::<u32>().is_ok()
    })?;
    guest.control()?.press(&["alt", "sysrq", "c"])?;
    // A PC's other processors say where they were; AArch64's only stop.
    let is_last = |row: &String| match arch {
        Arch::X86_64 => row.starts_with("  at 0x") && row.contains("(processor "),
        Arch::Aarch64 => row.starts_with("on processor ") && row.ends_with(" of 2"),
    };
    let is_whole = |text: &Text| {
        let rows = text.rows();
        let has = |wanted: &str| rows.iter().any(|row| row.contains(wanted));
        rows[0].starts_with("kernel panicked at kernel/src/sysrq.rs")
            && has("sysrq: a crash was asked for")
            && has("backtrace:")
            && (has("; the others were") || arch == Arch::Aarch64)
            && rows.iter().any(is_last)
    };
    let text = wait(&mut guest, "a whole report", is_whole)?;
    let rows = text.rows();
    let last = rows.iter().rposition(is_last).context("the last line")?;
    for row in 0..=last {
        for column in 0..COLUMNS {
            text.has_colours(row, column, 0x4f)?;
        }
    }
    ensure!(
        last + 1 == ROWS || text.has_colours(last + 1, 0, 0x07).is_ok(),
        "the numbers are gone:\n{}",
        rows.join("\n")
    );
    // Nobody paints over it.
    let again = Text::read(&mut guest)?;
    ensure!(again == text, "{}", again.rows().join("\n"));
    guest.kill();
    Ok(())
}
