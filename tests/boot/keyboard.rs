//! A keyboard, pressed over QEMU's control line: what is typed reaches the
//! program as the bytes it expects, and the keys for the kernel do their work.
//!
//! Most machines here have no screen, so that what is typed goes to the console,
//! the serial line, on which everything can be read that a program writes.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use ochre_tests::{
    Arch, Case, Extent, Guest, Machine, QemuExit, Running, Screen, architectures, busybox_root,
    describe, ended_on, extent, guest_on, is_tested, prefix, shell, shell_on, test_kernel,
};

use crate::{screen, shown::wait};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for arch in architectures() {
        let mut case = |name: &str, check: fn(Arch) -> Result<()>| {
            let name = format!("{}{name}", prefix(arch));
            cases.push(Case::new(name, move || check(arch)));
        };
        case("keyboard", keyboard);
        case("keyboard, a shell on each terminal", shells);
        if extent(arch) == Extent::All {
            case("keyboard, German", german);
            case("keyboard, a task for each press", a_task_for_each);
            case("keyboard and screen", with_screen);
        }
    }
    if is_tested(Arch::X86_64) {
        cases.push(Case::new("keyboard, pasted", pasted));
    }
    cases
}

/// A kernel that has only its executor starts a task for each key press.
fn a_task_for_each(arch: Arch) -> Result<()> {
    let mut guest = Guest::with_kernel(test_kernel(arch)?)
        .machine(screen::machine(arch))
        .screen(Screen::Hidden)
        .words("ochre.boottest=keys")
        .patience(PATIENCE)
        .start()?;
    wait(&mut guest, "that it is ready", |text| {
        text.row(0) == "ready for keys"
    })?;
    for key in ["a", "s", "a", "d", "f"] {
        guest.control()?.press(&[key])?;
    }
    let outcome = guest.wait()?;
    let told: Vec<&str> = outcome
        .log
        .lines()
        .filter_map(|line| line.strip_prefix("a task for key "))
        .collect();
    ensure!(
        told == ["0x1e", "0x1f", "0x1e", "0x20", "0x21"]
            && outcome.log.contains("boottest keys: ok"),
        "not a task for each\n{}",
        describe(&outcome)
    );
    ended_on(arch, &outcome, QemuExit::Ordered)
}

/// Shows every byte that is typed, in hexadecimal, up to `q`.
const ECHO: &str = r#"
stty raw -echo
echo -n ready.
while key=$(dd bs=1 count=1 2>/dev/null | hexdump -v -e '1/1 "%02x"'); do
    echo -n $key.
    [ $key = 71 ] && break
done
stty sane
"#;

/// On a PC, or on the other machine with a keyboard of virtio's.
fn start(arch: Arch, words: &str, script: &str) -> Result<Running> {
    shell_on(arch, script)?
        .machine(screen::machine(arch))
        .controlled()
        .words(words)
        .console(24, 80)
        .stdin_later()
        .start()
}

/// Presses these keys, one chord after the other, then `q`, and gives the bytes
/// that came.
fn pressed(running: &mut Running, chords: &[&[&str]]) -> Result<String> {
    running.expect("ready.", PATIENCE)?;
    for chord in chords.iter().chain([&["q"][..]].iter()) {
        running.control()?.press(chord)?;
    }
    let shown = running.expect("71.", PATIENCE)?;
    Ok(String::from_utf8_lossy(&shown).replace('.', ""))
}

#[track_caller]
fn same(what: &str, came: &str, expected: &[&str]) -> Result<()> {
    let expected: String = expected
        .iter()
        .chain(&["q"])
        .flat_map(|text| text.bytes())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ensure!(came == expected, "{what}: {came}, not {expected}");
    Ok(())
}

fn keyboard(arch: Arch) -> Result<()> {
    let script = format!(
        "{ECHO}
printf '\\033[?1h'; {ECHO}
echo t > /proc/sysrq-trigger
ls -l /proc/sysrq-trigger | cut -c 1-10
echo line; read line; echo \"got <$line>\"
echo ready.; sleep 1000"
    );
    let mut running = start(arch, "", &script)?;
    let came = pressed(
        &mut running,
        &[
            &["a"],
            &["shift", "a"],
            &["ctrl", "c"],
            &["alt", "x"],
            &["ret"],
            &["backspace"],
            &["esc"],
            &["f1"],
            &["shift", "f1"],
            &["f12"],
            &["up"],
            &["home"],
            &["delete"],
            &["pgdn"],
            &["kp_7"],
            &["kp_enter"],
            &["shift", "tab"],
            &["caps_lock"],
            &["b"],
            &["caps_lock"],
            // Composed: an accent and a letter.
            &["compose"],
            &["apostrophe"],
            &["e"],
        ],
    )?;
    let expected = [
        "a", "A", "\x03", "\x1bx", "\r", "\x7f", "\x1b", "\x1b[[A", "\x1b[23~", "\x1b[24~",
        "\x1b[A", "\x1b[1~", "\x1b[3~", "\x1b[6~", "7", "\r", "\x1b\t", "B", "é",
    ];
    same("the American keys", &came, &expected)?;
    let _ = pressed(&mut running, &[&["left"]])?;
    running.expect("sysrq: Show State", PATIENCE)?;
    running.expect(" 1 of     1, processor 0: sh", PATIENCE)?;
    running.expect("--w-------", PATIENCE)?;
    running.expect("line\r\n", PATIENCE)?;
    running.control()?.type_text("Hello, {World}; x\x7f!\n")?;
    running.expect("got <Hello, {World}; !>", PATIENCE)?;
    running.expect("ready.", PATIENCE)?;
    running.control()?.press(&["alt", "print", "d"])?;
    running.expect("sysrq: Show Locks Held", PATIENCE)?;
    running.control()?.press(&["alt", "print", "m"])?;
    running.expect("KiB kernel heap", PATIENCE)?;
    running.control()?.press(&["alt", "sysrq", "o"])?;
    let outcome = running.wait()?;
    ended_on(arch, &outcome, QemuExit::Ordered)?;
    ensure!(outcome.status == Some(0), "{}", describe(&outcome));
    Ok(())
}

/// German keys, on a PC with the older set of scan codes.
fn german(arch: Arch) -> Result<()> {
    let (words, codes) = match arch {
        Arch::X86_64 => ("ochre.keyboard=de,set1", "codes of Set1"),
        Arch::Aarch64 => ("ochre.keyboard=de", "codes of Events"),
    };
    let mut running = start(arch, words, ECHO)?;
    let came = pressed(
        &mut running,
        &[
            &["y"],
            &["apostrophe"],
            &["shift", "apostrophe"],
            &["minus"],
            &["alt_r", "e"],
            &["alt_r", "7"],
            // Dead keys: an accent waits for its letter, a blank frees it.
            &["equal"],
            &["e"],
            &["grave_accent"],
            &["spc"],
            &["right"],
            &["f5"],
        ],
    )?;
    let expected = ["z", "ä", "Ä", "ß", "€", "{", "é", "^", "\x1b[C", "\x1b[[E"];
    same("the German keys", &came, &expected)?;
    let outcome = running.wait()?;
    ensure!(outcome.log.contains(codes), "{}", describe(&outcome));
    Ok(())
}

/// A file is paged and edited, `top` watched, terminals change and lines scroll
/// back, by keys alone.
fn with_screen(arch: Arch) -> Result<()> {
    let mut running = shell_on(arch, "echo on the other >/dev/tty2; exec sh -i")?
        .machine(screen::machine(arch))
        .screen(Screen::Hidden)
        .console_on_screen()
        .env("TERM", "linux")
        .env("PS1", "ready> ")
        .stdin_later()
        .start()?;
    page_and_watch(&mut running)?;
    edit_and_change(&mut running)?;
    let outcome = running.wait()?;
    ensure!(outcome.status == Some(5), "{}", describe(&outcome));
    Ok(())
}

/// `less` goes through pages, `top` has its lines where they belong.
fn page_and_watch(running: &mut Running) -> Result<()> {
    let prompt = |running: &mut Running| {
        wait(running, "a prompt", |text| {
            text.rows().iter().any(|row| row.ends_with("ready>"))
        })
    };
    prompt(running)?;
    running.control()?.type_text("clear; seq 99 | less\n")?;
    wait(running, "less's first page", |text| {
        text.row(0) == "1" && text.row(23) == "24"
    })?;
    running.control()?.press(&["spc"])?;
    wait(running, "its second page", |text| {
        text.row(0) == "25" && text.row(23) == "48"
    })?;
    running.control()?.type_text("q\n")?;
    prompt(running)?;
    running.control()?.type_text("clear; top -d 99\n")?;
    wait(running, "top", |text| {
        text.row(0).starts_with("Mem: ")
            && text.row(2).starts_with("Load average: ")
            && text.row(3).starts_with("  PID  PPID USER ")
            && text.rows().iter().any(|row| row.ends_with(" top -d 99"))
    })?;
    running.control()?.type_text("q\n")?;
    prompt(running)?;
    running.control()?.type_text("clear\n")?;
    Ok(())
}

fn edit_and_change(running: &mut Running) -> Result<()> {
    let has = |running: &mut Running, wanted: &str| {
        let is_there = |row: &String| row == wanted;
        wait(running, wanted, |text| text.rows().iter().any(is_there))
    };
    has(running, "ready>")?;
    running.control()?.type_text("clear; vi /tmp/note\n")?;
    wait(running, "an empty file", |text| text.row(1) == "~")?;
    // An escape soon before another key might be taken for part of it, and what
    // vi says of its mode may be from before: so it has to have said the other.
    let insert = |running: &mut Running, command: &str, text: &str| {
        running.control()?.type_text(command)?;
        wait(running, "that vi inserts", |text| {
            text.row(24).starts_with("I ")
        })?;
        running.control()?.type_text(&format!("{text}\x1b"))?;
        wait(running, "that vi takes commands", |text| {
            text.row(24).starts_with("- ")
        })
    };
    insert(running, "i", "first line\nlast")?;
    wait(running, "what was typed", |text| text.row(1) == "last")?;
    running.control()?.press(&["up"])?;
    wait(running, "the first line as vi's", |text| {
        text.row(24).contains(" 1/2 ")
    })?;
    insert(running, "A", "!")?;
    running.control()?.type_text(":wq\n")?;
    has(running, "ready>")?;
    running.control()?.type_text("clear; nl /tmp/note\n")?;
    has(running, "     1  first line!")?;
    has(running, "     2  last")?;

    running.control()?.press(&["alt", "f2"])?;
    wait(running, "the second terminal", |text| {
        text.row(0) == "on the other"
    })?;
    running.control()?.press(&["alt", "f1"])?;
    has(running, "     2  last")?;

    running.control()?.type_text("clear; seq 99\n")?;
    has(running, "99")?;
    running.control()?.press(&["shift", "pgup"])?;
    has(running, "70")?;
    running.control()?.press(&["shift", "pgdn"])?;
    has(running, "99")?;

    running.control()?.press(&["alt", "sysrq", "h"])?;
    wait(running, "help", |text| {
        text.rows().iter().any(|row| row.contains("sysrq: HELP"))
    })?;
    running.control()?.type_text("exit 5\n")?;
    Ok(())
}

/// What `ochre --display` shows has a shell on its other terminals, each with
/// job control of its own; the first one's end is the machine's.
fn shells(arch: Arch) -> Result<()> {
    let mut running = guest_on(arch)?
        .archive(busybox_root(arch)?)
        .program("/bin/sh")
        .name("-sh")
        .directory("/root")
        .machine(screen::machine(arch))
        .screen(Screen::Hidden)
        .console_on_screen()
        .env("TERM", "linux")
        .stdin_later()
        .start()?;
    use_both(&mut running)?;
    let outcome = running.wait()?;
    ensure!(outcome.status == Some(5), "{}", describe(&outcome));
    Ok(())
}

fn use_both(running: &mut Running) -> Result<()> {
    const PROMPT: &str = "~ #";
    const ASKS: &str = "Please press Enter to activate this console.";
    let has = |running: &mut Running, what: &str, rows: &[&str]| {
        wait(running, what, |text| {
            let there = text.rows();
            rows.iter()
                .all(|row| there.iter().any(|there| there == row))
        })
    };
    // What comes before the shell has left the line to the program is not shown
    // where it is typed, and is not part of a line.
    let cat = |running: &mut Running, line: &str| {
        running.control()?.type_text("clear; cat\n")?;
        wait(running, "an empty screen", |text| {
            !text.rows().iter().any(|row| row.starts_with(PROMPT))
        })?;
        running.control()?.type_text(line)
    };
    has(running, "the first prompt", &[PROMPT])?;
    cat(running, "one\n")?;
    wait(running, "cat's answer", |text| {
        text.rows().starts_with(&["one".into(), "one".into()])
    })?;

    running.control()?.press(&["alt", "f2"])?;
    has(running, "an invitation", &[ASKS])?;
    running.control()?.press(&["ret"])?;
    has(running, "the second prompt", &[PROMPT])?;
    running.control()?.type_text("clear; tty; sleep 1000\n")?;
    has(running, "which terminal this is", &["/dev/tty2"])?;
    running.control()?.press(&["ctrl", "c"])?;
    has(running, "a prompt after an interrupt", &["^C", PROMPT])?;
    cat(running, "three\n")?;
    let answered = ["three", "three"].map(String::from);
    wait(running, "the second cat's answer", |text| {
        text.rows().starts_with(&answered)
    })?;
    running.control()?.press(&["ctrl", "z"])?;
    has(
        running,
        "a stopped job",
        &["^Z[1]+  Stopped                    cat", PROMPT],
    )?;
    running.control()?.type_text("exit\nexit\n")?;
    has(running, "the next invitation", &[ASKS])?;

    // What was interrupted there goes on here.
    running.control()?.press(&["alt", "f1"])?;
    running.control()?.type_text("two\n")?;
    wait(running, "cat's next answer", |text| {
        text.rows()
            .starts_with(&["one", "one", "two", "two"].map(String::from))
    })?;
    running.control()?.press(&["ctrl", "d"])?;
    has(running, "the first prompt again", &[PROMPT])?;
    running.control()?.type_text("exit 5\n")?;
    Ok(())
}

/// Keys that come one after the other while the program does not read, many
/// times what a terminal keeps, all arrive when it does.
fn pasted() -> Result<()> {
    const KEYS: [(&str, &str); 12] = [
        ("f1", "[[A"),
        ("f2", "[[B"),
        ("f3", "[[C"),
        ("f4", "[[D"),
        ("f5", "[[E"),
        ("f6", "[17~"),
        ("f7", "[18~"),
        ("f8", "[19~"),
        ("f9", "[20~"),
        ("f10", "[21~"),
        ("f11", "[23~"),
        ("f12", "[24~"),
    ];
    const COUNT: usize = 3000;
    const AT_ONCE: usize = 5;
    let typed: Vec<_> = (0..COUNT)
        .map(|index| KEYS[(index * index + index / 7) % KEYS.len()])
        .collect();
    let expected: String = typed
        .iter()
        .flat_map(|(_, sequence)| ["\x1b", sequence])
        .collect();
    let script = format!(
        "exec 3</dev/tty1; stty raw -echo <&3; echo ready; read line
         head -c {} <&3; echo; echo end",
        expected.len()
    );
    let mut running = shell(&script)?
        .machine(Machine::Q35)
        .screen(Screen::Hidden)
        .stdin_later()
        .start()?;
    running.expect("ready\n", PATIENCE)?;
    for keys in typed.chunks(AT_ONCE) {
        let names: Vec<_> = keys.iter().map(|(name, _)| *name).collect();
        running.control()?.tap(&names)?;
        fetched(&mut running)?;
    }
    running.send("\n")?;
    let came = running.expect("\nend\n", PATIENCE)?;
    let came = String::from_utf8_lossy(&came);
    let came = came.strip_suffix("\nend\n").unwrap_or(&came);
    let is_same = |(came, typed): (char, char)| came == typed;
    let same = came
        .chars()
        .zip(expected.chars())
        .take_while(|pair| is_same(*pair));
    ensure!(
        came == expected,
        "{} bytes came, as typed up to {}",
        came.len(),
        same.count()
    );
    running.wait()?;
    Ok(())
}

/// Waits until the guest has fetched what the keyboard has for it: the
/// controller says so, and is not disturbed by being asked.
fn fetched(running: &mut Running) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = running.control()?.monitor("i /b 0x64")?;
        let status = told.trim().rsplit_once("0x").map(|(_, status)| status);
        let status = u8::from_str_radix(status.unwrap_or_default(), 16)
            .with_context(|| format!("the controller's status: {told}"))?;
        if status & 1 == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "keys stay with the controller");
    }
}
