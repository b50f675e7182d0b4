//! QEMU's control line (QMP): keys are pressed, the screen is looked at, the monitor is asked.
//!
//! One JSON object is a line. A command is answered by the line with its
//! number; events in between are passed over. Every command has a time limit,
//! and a QEMU that closes the line, refuses or talks nonsense is an error that
//! says so.
//!
//! Keys have QEMU's names (`ret`, `shift`, `f2`, `kp_enter`; its documentation
//! calls them `QKeyCode`) and mean places on a keyboard, not characters.

use core::time::Duration;
use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest line that is believed.
const LINE_MAX: usize = 1 << 20;

/// How long a key is held, and how long nothing is pressed after it. A
/// keyboard keeps a handful of keys for a guest that is slow to fetch them.
const HOLD: Duration = Duration::from_millis(20);

/// How many keys are typed at once: QEMU drops what is more than it can keep.
const TYPED_MAX: usize = 100;

/// The line to one QEMU.
#[derive(Debug)]
pub struct Qmp {
    line: UnixStream,
    /// What came of a line that has not ended.
    partial: Vec<u8>,
    commands: u64,
}

impl Qmp {
    /// Takes the line after QEMU has connected it.
    ///
    /// # Errors
    /// If it is not QEMU's control line.
    pub fn new(line: UnixStream) -> Result<Self> {
        let mut qmp = Self {
            line,
            partial: Vec::new(),
            commands: 0,
        };
        let greeting = qmp.receive(Instant::now() + PATIENCE)?;
        ensure!(
            greeting.get("QMP").is_some(),
            "QEMU's control line does not greet: {greeting}"
        );
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and gives what it returns.
    ///
    /// # Errors
    /// If QEMU refuses or does not answer in time.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        self.try_execute(command, arguments)
            .with_context(|| format!("QEMU's command `{command}`"))
    }

    fn try_execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        self.commands += 1;
        let id = self.commands;
        let told = json!({"execute": command, "arguments": arguments, "id": id});
        self.line.set_write_timeout(Some(PATIENCE))?;
        self.line.write_all(format!("{told}\n").as_bytes())?;
        loop {
            let mut answer = self.receive(deadline)?;
            if answer.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            if let Some(error) = answer.get("error") {
                let reason = error.get("desc").and_then(Value::as_str);
                bail!("{}", reason.unwrap_or("refused"));
            }
            return match answer.get_mut("return") {
                Some(value) => Ok(value.take()),
                None => Err(anyhow!("neither returned nor refused: {answer}")),
            };
        }
    }

    /// Waits until the machine ends and gives QEMU's word for why
    /// (`guest-reset`, `guest-shutdown`, ...). An event that came before the
    /// last command's answer is not seen.
    ///
    /// # Errors
    /// If it does not end within `patience`, or QEMU does not say that it did.
    pub fn end_reason(&mut self, patience: Duration) -> Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            let line = self.receive(deadline).context("the machine's end")?;
            if line.get("event").and_then(Value::as_str) == Some("SHUTDOWN") {
                let reason = line.pointer("/data/reason").and_then(Value::as_str);
                return Ok(reason.context("an end without a reason")?.to_owned());
            }
        }
    }

    /// The next line.
    fn receive(&mut self, deadline: Instant) -> Result<Value> {
        loop {
            if let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
                let rest = self.partial.split_off(end + 1);
                let line = core::mem::replace(&mut self.partial, rest);
                return serde_json::from_slice(&line).with_context(|| {
                    format!("it is no JSON: {:?}", String::from_utf8_lossy(&line))
                });
            }
            ensure!(self.partial.len() < LINE_MAX, "a line without an end");
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "no answer within {PATIENCE:?}");
            self.line.set_read_timeout(Some(left))?;
            let mut piece = [0; 4096];
            match self.line.read(&mut piece) {
                Ok(0) => bail!("QEMU closed the line"),
                Ok(len) => self.partial.extend_from_slice(&piece[..len]),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::TimedOut
                            | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error).context("reading QEMU's answer"),
            }
        }
    }

    /// Presses the keys one after the other and lets them go. What was pressed
    /// before comes first; it is not waited for.
    ///
    /// # Errors
    /// For a name that is no key's.
    pub fn press(&mut self, keys: &[&str]) -> Result<()> {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| json!({"type": "qcode", "data": key}))
            .collect();
        let hold = u64::try_from(HOLD.as_millis())?;
        self.execute("send-key", &json!({"keys": keys, "hold-time": hold}))?;
        Ok(())
    }

    /// Presses keys and lets each go, without a pause: a keyboard keeps no more
    /// than five of them for a guest that is slow to fetch them.
    ///
    /// # Errors
    /// For a name that is no key's.
    pub fn tap(&mut self, keys: &[&str]) -> Result<()> {
        let event = |key: &str, down: bool| {
            let key = json!({"type": "qcode", "data": key});
            json!({"type": "key", "data": {"down": down, "key": key}})
        };
        let events: Vec<_> = keys
            .iter()
            .flat_map(|key| [event(key, true), event(key, false)])
            .collect();
        self.execute("input-send-event", &json!({"events": events}))?;
        Ok(())
    }

    /// Types a text as on an American keyboard.
    ///
    /// # Errors
    /// If there is no key for a character, or if these are too many at once.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        ensure!(
            text.chars().count() <= TYPED_MAX,
            "at most {TYPED_MAX} keys are typed at once"
        );
        for character in text.chars() {
            let (key, shift) = key_of(character)
                .with_context(|| format!("no key has {character:?} on an American keyboard"))?;
            if shift {
                self.press(&["shift", &key])?;
            } else {
                self.press(&[&key])?;
            }
        }
        Ok(())
    }

    /// What is on the screen now. The file is made on the way.
    ///
    /// # Errors
    /// If the machine has no screen.
    pub fn screendump(&mut self, file: &Path) -> Result<Picture> {
        let name = file.to_str().context("the picture's name is no text")?;
        self.execute("screendump", &json!({"filename": name}))?;
        let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        Picture::from_ppm(&bytes).context("the picture that QEMU wrote")
    }

    /// What QEMU's monitor answers to a line typed there.
    ///
    /// # Errors
    /// If it cannot be asked. An answer that says no is an answer.
    pub fn monitor(&mut self, line: &str) -> Result<String> {
        let answer = self.execute("human-monitor-command", &json!({"command-line": line}))?;
        let text = answer.as_str().context("the monitor's answer is no text")?;
        Ok(text.to_owned())
    }
}

/// The key that has a character, and whether Shift goes with it.
fn key_of(character: char) -> Option<(String, bool)> {
    const NAMED: &[(char, &str, bool)] = &[
        ('\n', "ret", false),
        ('\t', "tab", false),
        ('\x1b', "esc", false),
        ('\x7f', "backspace", false),
        (' ', "spc", false),
        ('-', "minus", false),
        ('_', "minus", true),
        ('=', "equal", false),
        ('+', "equal", true),
        ('[', "bracket_left", false),
        ('{', "bracket_left", true),
        (']', "bracket_right", false),
        ('}', "bracket_right", true),
        (';', "semicolon", false),
        (':', "semicolon", true),
        ('\'', "apostrophe", false),
        ('"', "apostrophe", true),
        ('`', "grave_accent", false),
        ('~', "grave_accent", true),
        ('\\', "backslash", false),
        ('|', "backslash", true),
        (',', "comma", false),
        ('<', "comma", true),
        ('.', "dot", false),
        ('>', "dot", true),
        ('/', "slash", false),
        ('?', "slash", true),
    ];
    const OVER_DIGITS: &str = ")!@#$%^&*(";
    if character.is_ascii_lowercase() || character.is_ascii_digit() {
        return Some((character.to_string(), false));
    }
    if character.is_ascii_uppercase() {
        return Some((character.to_ascii_lowercase().to_string(), true));
    }
    if let Some(digit) = OVER_DIGITS.find(character) {
        return Some((digit.to_string(), true));
    }
    let &(_, name, shift) = NAMED.iter().find(|(named, ..)| *named == character)?;
    Some((name.to_owned(), shift))
}

/// A picture of a screen.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    /// Red, green, blue, line by line.
    colours: Vec<[u8; 3]>,
}

impl core::fmt::Debug for Picture {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

impl Picture {
    /// Reads a picture in the one form that QEMU writes: PPM with bytes (P6).
    ///
    /// # Errors
    /// If it is something else.
    pub fn from_ppm(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let mut word = || {
            let end = rest.iter().position(u8::is_ascii_whitespace)?;
            let (word, after) = rest.split_at(end);
            rest = &after[1..];
            core::str::from_utf8(word).ok()
        };
        ensure!(word() == Some("P6"), "not in the form P6");
        let mut number = || -> Option<usize> { word()?.parse().ok() };
        let (width, height) = number().zip(number()).context("no size")?;
        ensure!(number() == Some(255), "not a byte for each colour");
        let (colours, []) = rest.as_chunks::<3>() else {
            bail!("ends within a point");
        };
        ensure!(
            width.checked_mul(height) == Some(colours.len()),
            "{width}x{height} with {} points",
            colours.len()
        );
        Ok(Self {
            width,
            height,
            colours: colours.to_vec(),
        })
    }

    /// Points in a line.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Lines.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Red, green and blue of a point, counted from the top left.
    pub fn at(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        if x >= self.width {
            return None;
        }
        self.colours.get(y * self.width + x).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        os::unix::net::UnixStream,
        thread,
    };

    use serde_json::json;

    use super::{Picture, Qmp, key_of};

    /// A QEMU that says these lines after the greeting and the first answer,
    /// one batch for each command, then closes.
    fn qemu(batches: &'static [&'static str]) -> Qmp {
        let (ours, theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            let mut told = BufReader::new(theirs.try_clone().unwrap()).lines();
            let mut theirs = theirs;
            theirs.write_all(b"{\"QMP\": {}}\n").unwrap();
            for batch in ["{\"return\": {}, \"id\": 1}\n"].iter().chain(batches) {
                let _ = told.next();
                theirs.write_all(batch.as_bytes()).unwrap();
            }
        });
        Qmp::new(ours).unwrap()
    }

    #[test]
    fn answers_are_told_from_events() {
        let mut qmp = qemu(
            &["{\"event\": \"RESUME\"}\n{\"return\": \"no\", \"id\": 1}\n\
             {\"return\": \"yes\", \"id\": 2}\n"],
        );
        assert_eq!(qmp.monitor("info version").unwrap(), "yes");
        let error = format!("{:#}", qmp.execute("stop", &json!({})).unwrap_err());
        assert!(error.contains("`stop`"), "{error}");
    }

    #[test]
    fn an_end_has_a_reason() {
        let mut qmp = qemu(&["{\"return\": {}, \"id\": 2}\n{\"event\": \"STOP\"}\n\
             {\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\n"]);
        qmp.monitor("info version").unwrap_err();
        let patience = super::PATIENCE;
        assert_eq!(qmp.end_reason(patience).unwrap(), "guest-reset");
        assert!(qmp.end_reason(patience).is_err());
    }

    #[test]
    fn refusals_say_why() {
        let mut qmp = qemu(&["{\"error\": {\"desc\": \"no such key\"}, \"id\": 2}\n"]);
        let error = format!("{:#}", qmp.press(&["any"]).unwrap_err());
        assert_eq!(error, "QEMU's command `send-key`: no such key");
    }

    #[test]
    fn nonsense_is_said_to_be() {
        let error = qemu(&["hello\n"]).monitor("x").unwrap_err();
        assert!(format!("{error:#}").contains("it is no JSON: \"hello"));
    }

    #[test]
    fn characters_have_keys() {
        for (character, key, shift) in [
            ('a', "a", false),
            ('A', "a", true),
            ('0', "0", false),
            (')', "0", true),
            ('(', "9", true),
            (':', "semicolon", true),
            ('\n', "ret", false),
        ] {
            assert_eq!(key_of(character), Some((key.to_owned(), shift)));
        }
        assert_eq!(key_of('ä'), None);
        let all = (b' '..0x7f).map(char::from);
        assert!(all.clone().all(|character| key_of(character).is_some()));
        let mut keys: Vec<_> = all.map(key_of).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 95);
    }

    #[test]
    fn pictures_are_read() {
        let picture = Picture::from_ppm(b"P6\n2 1\n255\nabcdef").unwrap();
        assert_eq!((picture.width(), picture.height()), (2, 1));
        assert_eq!(picture.at(1, 0), Some(*b"def"));
        assert_eq!((picture.at(2, 0), picture.at(0, 1)), (None, None));
        for bad in [
            &b"P5\n2 1\n255\nabcdef"[..],
            b"P6\n2 1\n255\nabcde",
            b"P6\n2 2\n255\nabcdef",
            b"P6\n2 1\n65535\nabcdef",
            b"P6\n18446744073709551615 3\n255\nabcdef",
            b"P6",
            b"",
        ] {
            assert!(Picture::from_ppm(bad).is_err());
        }
    }
}
