//! A crawler: a few threads check pages for links, and the pages that those lead to.
//!
//! The pages are files in a folder made for it. Commands go out through one
//! channel that the workers share behind a lock, results come back through
//! another; one thread remembers what was seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::{Path, PathBuf},
    process,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use crate::Outcome;

const WORKERS: usize = 4;

/// How many pages there are.
const PAGES: u32 = 120;

/// A page to look at.
struct Command {
    page: String,
}

/// What was found on a page, or why nothing was.
struct Found {
    page: String,
    links: Result<Vec<String>, io::ErrorKind>,
}

/// The folder with the pages, removed at the end.
struct Site(PathBuf);

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Page n leads to 2n and 2n+1 and back to its parent; each seventh also to
/// one that is not there.
fn site() -> io::Result<Site> {
    let site = Site(env::temp_dir().join(format!("site-{}", process::id())));
    fs::create_dir_all(&site.0)?;
    for n in 1..=PAGES {
        let mut text = format!("page {n}\n");
        for link in [n / 2, 2 * n, 2 * n + 1] {
            if (1..=PAGES).contains(&link) {
                text.push_str(&format!("see <page-{link}>\n"));
            }
        }
        if n % 7 == 0 {
            text.push_str(&format!("see <lost-{n}>\n"));
        }
        fs::write(site.0.join(format!("page-{n}")), text)?;
    }
    Ok(site)
}

fn links(path: &Path) -> Result<Vec<String>, io::ErrorKind> {
    let text = fs::read_to_string(path).map_err(|error| error.kind())?;
    Ok(text
        .split('<')
        .skip(1)
        .filter_map(|part| part.split_once('>'))
        .map(|(link, _)| link.to_owned())
        .collect())
}

pub(crate) fn run() -> Outcome {
    let site = site()?;
    let (command, commands) = mpsc::channel::<Command>();
    let (found, results) = mpsc::channel::<Found>();
    let commands = Arc::new(Mutex::new(commands));
    let workers: Vec<_> = (0..WORKERS)
        .map(|n| {
            let (commands, found) = (Arc::clone(&commands), found.clone());
            let folder = site.0.clone();
            thread::Builder::new()
                .name(format!("checker {n}"))
                .spawn(move || {
                    loop {
                        let next = commands.lock().map(|commands| commands.recv());
                        let Ok(Ok(Command { page })) = next else {
                            return;
                        };
                        let links = links(&folder.join(&page));
                        if found.send(Found { page, links }).is_err() {
                            return;
                        }
                    }
                })
        })
        .collect::<io::Result<_>>()?;
    drop(found);
    let mut seen = BTreeSet::from(["page-1".to_owned()]);
    let mut bad = BTreeMap::new();
    let mut in_flight = 1_usize;
    let mut link_count = 0;
    command.send(Command {
        page: "page-1".to_owned(),
    })?;
    while in_flight > 0 {
        let Found { page, links } = results.recv()?;
        in_flight -= 1;
        match links {
            Ok(links) => {
                link_count += links.len();
                for link in links {
                    if seen.insert(link.clone()) {
                        command.send(Command { page: link })?;
                        in_flight += 1;
                    }
                }
            }
            Err(error) => {
                bad.insert(page, error);
            }
        }
    }
    drop(command);
    for worker in workers {
        worker.join().map_err(|_| "a worker panicked")?;
    }
    println!("{} pages, {link_count} links", seen.len());
    for (page, error) in bad {
        println!("{page}: {error}");
    }
    Ok(())
}
