//! Where a person sees a machine's screen: a window, or a VNC viewer.

use std::{env, net::TcpListener, path::Path, process::Command};

use anyhow::{Context as _, Result, bail, ensure};

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Display {
    /// A window, of the kind that this QEMU has
    Window,
    /// A window by GTK
    Gtk,
    /// A window by SDL
    Sdl,
    /// A VNC viewer, of this host
    Vnc,
}

/// What QEMU is to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frontend {
    /// A window by GTK.
    Gtk,
    /// A window by SDL.
    Sdl,
    /// A place for VNC viewers of this host: TCP port 5900 and this.
    Vnc(u16),
}

/// Ports that VNC's viewers know by a small number.
const VNC_PORT: u16 = 5900;

/// How many of them are tried.
const VNC_PLACES: u16 = 100;

impl Frontend {
    /// The value of QEMU's `-display`.
    pub fn argument(self) -> String {
        match self {
            Self::Gtk => "gtk".to_owned(),
            Self::Sdl => "sdl".to_owned(),
            Self::Vnc(place) => format!("vnc=127.0.0.1:{place}"),
        }
    }

    /// Whether it is a window.
    pub fn is_window(self) -> bool {
        !matches!(self, Self::Vnc(_))
    }

    /// For a person: where the machine is, and what to press there.
    pub fn hint(self) -> String {
        let (place, leave) = match self {
            Self::Gtk | Self::Sdl => (
                "the machine has a window of its own".to_owned(),
                "'exit' there, closing the window, or Ctrl-C here ends it; \
                 Ctrl-Alt-G gives the keyboard back",
            ),
            Self::Vnc(place) => (
                format!(
                    "the machine's screen is at vnc://127.0.0.1:{}",
                    VNC_PORT + place
                ),
                "'exit' there or Ctrl-C here ends it",
            ),
        };
        format!(
            "{place}: Alt-F1 to Alt-F6 are its terminals, Shift-PageUp shows what went by;\n{leave}.\n\
             Should the kernel die, the screen stays and says why"
        )
    }
}

impl Display {
    /// For a person: what may be wrong if QEMU ends at once, and what else there is.
    pub fn trouble(self) -> String {
        if self == Self::Vnc {
            return "Somebody else may have taken the place for VNC viewers: try again".to_owned();
        }
        let names = ["WAYLAND_DISPLAY", "DISPLAY"];
        let set: Vec<_> = names
            .iter()
            .filter_map(|name| Some(format!("{name}={}", env::var(name).ok()?)))
            .collect();
        format!(
            "The window was to open on {}: if nobody answers there, set it right; \
             with --display=vnc a VNC viewer shows the screen",
            set.join(", ")
        )
    }

    /// Looks for what this host and this QEMU can do.
    ///
    /// # Errors
    /// If they cannot; it says what can be done about it.
    pub fn choose(self, qemu: &Path) -> Result<Frontend> {
        let wanted: &[Frontend] = match self {
            Self::Vnc => return free_place(),
            Self::Gtk => &[Frontend::Gtk],
            Self::Sdl => &[Frontend::Sdl],
            Self::Window => &[Frontend::Gtk, Frontend::Sdl],
        };
        let has = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        ensure!(
            has("DISPLAY") || has("WAYLAND_DISPLAY"),
            "there is no display here to open a window on (neither DISPLAY nor WAYLAND_DISPLAY \
             is set); with --display=vnc a VNC viewer shows the screen"
        );
        let listed = Command::new(qemu)
            .args(["-display", "help"])
            .output()
            .context("asking QEMU for its displays")?;
        among(&String::from_utf8_lossy(&listed.stdout), wanted)
    }
}

/// The first of those wanted that QEMU lists.
fn among(listed: &str, wanted: &[Frontend]) -> Result<Frontend> {
    let is_there = |name: &str| listed.lines().any(|line| line.trim() == name);
    let found = wanted.iter().find(|wanted| is_there(&wanted.argument()));
    match found {
        Some(found) => Ok(*found),
        None => bail!(
            "this QEMU opens no such window; on Debian-like hosts the package \
             qemu-system-gui has them. With --display=vnc a VNC viewer shows the screen"
        ),
    }
}

/// A port that nobody has.
fn free_place() -> Result<Frontend> {
    (0..VNC_PLACES)
        .find(|place| TcpListener::bind(("127.0.0.1", VNC_PORT + place)).is_ok())
        .map(Frontend::Vnc)
        .context("all the usual ports of VNC are taken")
}

#[cfg(test)]
mod tests {
    use super::{Display, Frontend, among};
    use std::path::Path;

    #[test]
    fn takes_what_there_is() {
        let both = [Frontend::Gtk, Frontend::Sdl];
        let choose = |listed| among(listed, &both).ok();
        assert_eq!(choose("Available:\nnone\ngtk\nsdl\n"), Some(Frontend::Gtk));
        assert_eq!(choose("none\nsdl\n"), Some(Frontend::Sdl));
        assert_eq!(choose("none\ngtk-like\n"), None);
    }

    #[test]
    fn who_gets_no_window_is_told_of_another_way() {
        assert!(Display::Window.trouble().contains("--display=vnc"));
        assert!(!Display::Vnc.trouble().contains("--display=vnc"));
    }

    #[test]
    fn a_viewer_needs_no_display() {
        let found = Display::Vnc.choose(Path::new("/no/qemu")).unwrap();
        assert!(found.argument().starts_with("vnc=127.0.0.1:"));
        assert!(found.hint().contains("vnc://127.0.0.1:59"));
    }
}
