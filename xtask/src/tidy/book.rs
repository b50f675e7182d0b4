//! Rules about the book, so that a page can be trusted without building it:
//! every page is in the table of contents, every link leads somewhere, and what
//! is shown of the sources is there, under a name and not at a line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{Findings, House, documents};

/// The book's folder.
const BOOK: &str = "docs";

/// Its table of contents.
const SUMMARY: &str = "docs/SUMMARY.md";

/// What shows a part of a file, cut in two so that this file shows none.
const INCLUDE: (&str, &str) = ("{{#inc", "lude ");

/// What begins and ends a part that can be shown, as the last word but one of a comment.
const ANCHORS: [(&str, &str); 2] = [("ANC", "HOR:"), ("ANC", "HOR_END:")];

/// A part of a file: the file, from the root, and the part's name.
type Part = (PathBuf, String);

pub(super) fn check(house: &House, findings: &mut Findings) -> Result<()> {
    let pages = pages(&house.root)?;
    let summary = &pages
        .iter()
        .find(|page| page.path == Path::new(SUMMARY))
        .context(SUMMARY)?
        .text;
    let listed: BTreeSet<PathBuf> = links(summary)
        .into_iter()
        .map(|(_, link)| Path::new(BOOK).join(link))
        .collect();
    let mut shown = BTreeSet::new();
    for page in &pages {
        if page.path != Path::new(SUMMARY) && !listed.contains(&page.path) {
            findings.add(&page.path, format!("is not in {SUMMARY}"));
        }
        targets(&house.root, page, &pages, findings);
        shown.extend(parts(&house.root, page, findings));
        let name = page.path.display().to_string();
        documents::paths(&house.root, &name, &page.text, findings);
    }
    anchors(house, &shown, findings);
    Ok(())
}

/// One page.
struct Page {
    path: PathBuf,
    text: String,
}

/// Every page below the book's folder.
fn pages(root: &Path) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    let mut folders = vec![root.join(BOOK)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path)?;
                let path = path.strip_prefix(root)?.to_owned();
                pages.push(Page { path, text });
            }
        }
    }
    pages.sort_by(|one, two| one.path.cmp(&two.path));
    Ok(pages)
}

/// The lines of prose with their numbers: blocks of code left out.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        if line.starts_with("```") {
            is_code = !is_code;
            return None;
        }
        (!is_code).then_some((number + 1, line))
    })
}

/// What a page links to, with the line.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        // What is between backquotes is no link.
        let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for after in plain.split("](").skip(1) {
            if let Some((target, _)) = after.split_once(')') {
                links.push((number, target.to_owned()));
            }
        }
    }
    links
}

/// Every link leads to a file that is there, and to a heading in it.
fn targets(root: &Path, page: &Page, pages: &[Page], findings: &mut Findings) {
    for (number, link) in links(&page.text) {
        if link.contains("://") {
            continue;
        }
        let place = format!("{}:{number}", page.path.display());
        let (file, heading) = match link.split_once('#') {
            Some((file, heading)) => (file, Some(heading)),
            None => (link.as_str(), None),
        };
        let path = match file {
            "" => page.path.clone(),
            file => beside(&page.path, file),
        };
        if !path.starts_with(BOOK) {
            findings.add(
                place,
                format!("links to {link}, which is no page of the book"),
            );
            continue;
        }
        if !root.join(&path).exists() {
            findings.add(place, format!("links to {link}, which is not there"));
            continue;
        }
        let Some(heading) = heading else {
            continue;
        };
        let target = pages.iter().find(|page| page.path == path);
        if !target.is_some_and(|target| headings(&target.text).contains(heading)) {
            findings.add(
                place,
                format!("links to {link}, and there is no such heading"),
            );
        }
    }
}

/// A path that a page names, from the root.
fn beside(page: &Path, named: &str) -> PathBuf {
    let mut path = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in named.split('/') {
        match part {
            ".." => {
                path.pop();
            }
            "." | "" => {}
            part => path.push(part),
        }
    }
    path
}

/// The names by which a page's headings are linked to.
fn headings(text: &str) -> BTreeSet<String> {
    let name = |line: &str| -> String {
        line.trim_start_matches('#')
            .trim()
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
                _ => None,
            })
            .collect()
    };
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| name(line))
        .collect()
}

/// The parts of sources that a page shows; each must be there.
fn parts(root: &Path, page: &Page, findings: &mut Findings) -> BTreeSet<Part> {
    let mut parts = BTreeSet::new();
    let include = [INCLUDE.0, INCLUDE.1].concat();
    for (number, line) in page.text.lines().enumerate() {
        let Some((_, rest)) = line.split_once(&include) else {
            continue;
        };
        let place = format!("{}:{}", page.path.display(), number + 1);
        let named = rest.split_once("}}").map_or(rest, |(named, _)| named);
        let (file, part) = match named.split_once(':') {
            Some((file, part)) => (file, Some(part)),
            None => (named, None),
        };
        let path = beside(&page.path, file);
        let Ok(text) = fs::read_to_string(root.join(&path)) else {
            findings.add(place, format!("shows {named}, and the file is not there"));
            continue;
        };
        let Some(part) = part else {
            continue;
        };
        if part.starts_with(|c: char| c.is_ascii_digit() || c == ':') {
            findings.add(place, format!("shows {named} by its lines; name the part"));
        } else if !marks(&text).contains_key(part) {
            findings.add(
                place,
                format!("shows {named}, which nothing there is called"),
            );
        }
        parts.insert((path, part.to_owned()));
    }
    parts
}

/// The names of a file's parts, with how often each begins and ends.
fn marks(text: &str) -> BTreeMap<String, [usize; 2]> {
    let words = ANCHORS.map(|(first, second)| [first, second].concat());
    let mut marks: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for line in text.lines() {
        for (which, word) in words.iter().enumerate() {
            if let Some((_, name)) = line.split_once(word) {
                marks.entry(name.trim().to_owned()).or_default()[which] += 1;
            }
        }
    }
    marks
}

/// Every part that a source names begins and ends once, and is shown.
fn anchors(house: &House, shown: &BTreeSet<Part>, findings: &mut Findings) {
    for file in &house.files {
        for (name, counts) in marks(&file.text) {
            if counts != [1, 1] {
                findings.add(
                    &file.path,
                    format!("the part {name} does not begin and end once: {counts:?}"),
                );
            }
            if !shown.contains(&(file.path.clone(), name.clone())) {
                findings.add(&file.path, format!("no page shows the part {name}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{ANCHORS, Findings, INCLUDE, Page, beside, headings, links, marks, parts, targets};

    #[test]
    fn links_lead_somewhere() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("docs/book")).unwrap();
        fs::write(root.path().join("docs/other.md"), "# A `b`-c: d\n").unwrap();
        let check = |text: &str, expected: usize| {
            let page = |path: &str, text: &str| Page {
                path: path.into(),
                text: text.to_owned(),
            };
            let pages = [
                page("docs/book/a.md", text),
                page("docs/other.md", "# A `b`-c: d\n"),
            ];
            fs::write(root.path().join("docs/book/a.md"), text).unwrap();
            let mut findings = Findings::default();
            targets(root.path(), &pages[0], &pages, &mut findings);
            assert_eq!(findings.0.len(), expected, "{text}: {:?}", findings.0);
        };
        check("[x](../other.md) and [y](https://example.org)", 0);
        check("[x](other.md)", 1);
        check("[x](../../a.rs)", 1);
        check("[x](../other.md#a-b-c-d)", 0);
        check("[x](../other.md#e)", 1);
        check("# E\n[x](#e)", 0);
        check("`[x](gone.md)`\n```\n[x](gone.md)\n```\n", 0);
    }

    #[test]
    fn what_is_shown_has_a_name() {
        let root = tempfile::tempdir().unwrap();
        let [begin, end] = ANCHORS.map(|(first, second)| [first, second].concat());
        let source = format!("// {begin} one\nfn f() {{}}\n// {end} one\n");
        fs::write(root.path().join("a.rs"), &source).unwrap();
        assert_eq!(marks(&source).get("one"), Some(&[1, 1]));
        fs::create_dir(root.path().join("docs")).unwrap();
        let check = |named: &str, expected: usize| {
            let page = Page {
                path: "docs/a.md".into(),
                text: format!("{}{}{named}}}}}\n", INCLUDE.0, INCLUDE.1),
            };
            let mut findings = Findings::default();
            parts(root.path(), &page, &mut findings);
            assert_eq!(findings.0.len(), expected, "{named}: {:?}", findings.0);
        };
        check("../a.rs:one", 0);
        check("../a.rs", 0);
        check("../a.rs:two", 1);
        check("../a.rs:1:2", 1);
        check("../b.rs:one", 1);
    }

    #[test]
    fn names_of_places() {
        assert_eq!(
            beside(Path::new("docs/book/a.md"), "../../hal/x.rs"),
            Path::new("hal/x.rs")
        );
        assert_eq!(links("a [b](c) `[d](e)` [f](g)").len(), 2);
        assert!(headings("## Why, and how\n").contains("why-and-how"));
    }
}
