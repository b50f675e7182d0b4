//! Each row of Ochre's beside std and the best of the others.

use crate::sample::{self, Key, Rows, Times};

/// How far apart two medians are that count as equal: a run differs from the
/// next by as much.
const EQUAL: f64 = 1.05;

/// One line for each row of Ochre's that has a peer.
pub(crate) fn table(rows: &Rows) -> String {
    let mut text = String::from(
        "\n| what | threads | who | ns each | std | best other | |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for group in sample::groups(rows) {
        for (key, times) in &group {
            if key.library() != "ochre" {
                continue;
            }
            // A readers-writer lock is beside its like, and a way to read that has
            // no like beside all others.
            let like = |peer: &Key| is_peer(key, peer) && peer.what() == key.what();
            let has_like = group.iter().any(|(peer, _)| like(peer));
            let peers = group
                .iter()
                .filter(|(peer, _)| is_peer(key, peer) && (!has_like || like(peer)));
            let (std, others): (Vec<_>, Vec<_>) =
                peers.partition(|(peer, _)| peer.library() == "std");
            // Groups are sorted: the fastest comes first.
            let (std, best) = (std.first(), others.first());
            if std.is_none() && best.is_none() {
                continue;
            }
            let number = |times: &Times| format!("{:.1}", times.median);
            let standard = std.map_or_else(String::new, |(_, std)| number(std));
            let other = best.map_or_else(String::new, |(peer, best)| {
                format!("{} ({})", number(best), peer.library())
            });
            let fastest = std.into_iter().chain(best).map(|(_, peer)| *peer);
            text.push_str(&format!(
                "| {} | {} | {} | {} | {standard} | {other} | {} |\n",
                key.group,
                key.threads,
                key.who,
                number(times),
                verdict(times, fastest),
            ));
        }
    }
    text
}

/// Whether the two did the same.
fn is_peer(ours: &Key, peer: &Key) -> bool {
    peer.library() != "ochre" && peer.threads == ours.threads && peer.shape() == ours.shape()
}

/// Ahead of all, equal to the best, or behind. Equal are also two of which each
/// one's median is in the other's middle half.
fn verdict<'a>(ours: &Times, peers: impl Iterator<Item = &'a Times>) -> &'static str {
    let mut verdict = "ahead";
    for peer in peers {
        let within = |value: f64, of: &Times| (of.lower..=of.upper).contains(&value);
        let alike = within(ours.median, peer) && within(peer.median, ours);
        let slower = ours.median > peer.median;
        if slower && ours.median > peer.median * EQUAL && !alike {
            return "**behind**";
        }
        if slower || alike || ours.median * EQUAL > peer.median {
            verdict = "equal";
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::{Key, Rows, Times, table};

    fn rows(medians: &[(&str, f64)]) -> Rows {
        let row = |(who, median): &(&str, f64)| {
            let key = Key {
                group: "a thing".into(),
                threads: 2,
                who: (*who).into(),
            };
            let times = Times {
                median: *median,
                lower: median * 0.9,
                upper: median * 1.1,
            };
            (key, times)
        };
        medians.iter().map(row).collect()
    }

    fn last(medians: &[(&str, f64)]) -> String {
        let table = table(&rows(medians));
        table.lines().last().unwrap_or_default().to_owned()
    }

    #[test]
    fn ahead_equal_and_behind_are_told_apart() {
        let line = last(&[("ochre", 10.0), ("std", 20.0), ("spin", 15.0)]);
        assert_eq!(
            line,
            "| a thing | 2 | ochre | 10.0 | 20.0 | 15.0 (spin) | ahead |"
        );
        assert!(last(&[("ochre", 10.0), ("std", 20.0), ("spin", 9.8)]).ends_with("| equal |"));
        assert!(last(&[("ochre", 10.0), ("std", 20.0), ("spin", 5.0)]).ends_with("| **behind** |"));
        assert!(last(&[("ochre", 10.0), ("std", 5.0), ("spin", 20.0)]).ends_with("| **behind** |"));
    }

    #[test]
    fn a_like_is_the_peer_if_there_is_one() {
        let table = table(&rows(&[
            ("ochre RwLock", 10.0),
            ("ochre SeqWords", 1.0),
            ("other RwLock", 11.0),
            ("other cell", 2.0),
        ]));
        let lines: Vec<_> = table.lines().rev().take(2).collect();
        assert!(lines[0].contains("11.0 (other)"), "{table}");
        assert!(lines[1].contains("2.0 (other)"), "{table}");
    }

    #[test]
    fn only_those_who_did_the_same_are_peers() {
        let line = last(&[
            ("ochre, 1 to 1", 10.0),
            ("std, 1 to 1", 20.0),
            ("std, 3 to 1", 1.0),
        ]);
        assert!(line.ends_with("| 10.0 | 20.0 |  | ahead |"), "{line}");
        assert!(last(&[("ochre alone", 10.0)]).starts_with("| ---"));
    }
}
