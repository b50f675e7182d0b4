//! What differs between two texts, line by line.

use core::fmt::Write as _;

/// How many lines that differ are shown.
const SHOWN: usize = 60;

/// The lines of `ours` and `theirs` that are not in the other one, in order,
/// with a line before each place for orientation; nothing if they are equal.
pub fn diff(theirs: &str, ours: &str) -> Option<String> {
    if theirs == ours {
        return None;
    }
    let (theirs, ours): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    let common = longest_common(&theirs, &ours);
    let mut text = String::new();
    let mut shown = 0_usize;
    let mut line = |mark: char, line: &str| {
        shown += 1;
        if shown <= SHOWN {
            let _ = writeln!(text, "{mark} {line}");
        }
    };
    let (mut at_theirs, mut at_ours) = (0, 0);
    let ends = (theirs.len(), ours.len());
    for (to_theirs, to_ours) in common.into_iter().chain([ends]) {
        if to_theirs > at_theirs || to_ours > at_ours {
            if let Some(before) = at_theirs.checked_sub(1).and_then(|at| theirs.get(at)) {
                line(' ', before);
            }
            for missing in &theirs[at_theirs..to_theirs] {
                line('-', missing);
            }
            for extra in &ours[at_ours..to_ours] {
                line('+', extra);
            }
        }
        (at_theirs, at_ours) = (to_theirs + 1, to_ours + 1);
    }
    if shown > SHOWN {
        let _ = writeln!(text, "... and {} lines more", shown - SHOWN);
    }
    if text.is_empty() {
        text.push_str("they differ in the last line's end\n");
    }
    Some(text)
}

/// Pairs of places of a longest common subsequence.
fn longest_common(one: &[&str], two: &[&str]) -> Vec<(usize, usize)> {
    let width = two.len() + 1;
    let mut best = vec![0_u32; (one.len() + 1) * width];
    for i in (0..one.len()).rev() {
        for j in (0..two.len()).rev() {
            best[i * width + j] = if one[i] == two[j] {
                best[(i + 1) * width + j + 1] + 1
            } else {
                best[(i + 1) * width + j].max(best[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < one.len() && j < two.len() {
        if one[i] == two[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if best[(i + 1) * width + j] >= best[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn only_what_differs_is_shown() {
        let check = |theirs, ours, expected: Option<&str>| {
            assert_eq!(diff(theirs, ours).as_deref(), expected);
        };
        check("a\nb\n", "a\nb\n", None);
        check("a\nb\nc\n", "a\nx\nc\n", Some("  a\n- b\n+ x\n"));
        check("a\n", "a\nb\n", Some("  a\n+ b\n"));
        check("a\nb\n", "b\n", Some("- a\n"));
        check("a\n", "a", Some("they differ in the last line's end\n"));
    }
}
