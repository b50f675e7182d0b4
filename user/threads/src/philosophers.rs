//! The dining philosophers: five, with five chopsticks, a hundred rounds each.
//!
//! One of them reaches for the chopsticks in the other order, so that they
//! cannot all hold one and wait for the next. What they think goes through a
//! bounded channel, which makes them wait for their reader too.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use crate::Outcome;

const NAMES: [&str; 5] = ["Anscombe", "Diotima", "Leibniz", "Ramsey", "Zeno"];

const ROUNDS: u32 = 100;

/// How long one eats.
const MEAL: Duration = Duration::from_millis(1);

/// A chopstick, and how many meals it has seen.
#[derive(Debug, Default)]
struct Chopstick {
    meals: u32,
}

struct Philosopher {
    name: &'static str,
    first: Arc<Mutex<Chopstick>>,
    second: Arc<Mutex<Chopstick>>,
    thoughts: mpsc::SyncSender<(&'static str, u32)>,
}

impl Philosopher {
    fn eat(&self) -> Result<(), String> {
        let mut first = self.first.lock().map_err(|error| error.to_string())?;
        let mut second = self.second.lock().map_err(|error| error.to_string())?;
        thread::sleep(MEAL);
        first.meals += 1;
        second.meals += 1;
        Ok(())
    }

    fn think(&self, round: u32) -> Result<(), String> {
        self.thoughts
            .send((self.name, round))
            .map_err(|error| error.to_string())
    }
}

pub(crate) fn run() -> Outcome {
    let chopsticks: [Arc<Mutex<Chopstick>>; NAMES.len()] = Default::default();
    let (thoughts, heard) = mpsc::sync_channel(10);
    let mut guests = Vec::new();
    for (seat, name) in NAMES.into_iter().enumerate() {
        let left = Arc::clone(&chopsticks[seat]);
        let right = Arc::clone(&chopsticks[(seat + 1) % NAMES.len()]);
        let (first, second) = if seat == 0 {
            (right, left)
        } else {
            (left, right)
        };
        let philosopher = Philosopher {
            name,
            first,
            second,
            thoughts: thoughts.clone(),
        };
        guests.push(thread::spawn(move || {
            for round in 0..ROUNDS {
                philosopher.eat()?;
                philosopher.think(round)?;
            }
            Ok::<(), String>(())
        }));
    }
    drop(thoughts);
    let mut rounds: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (name, round) in heard {
        rounds.entry(name).or_default().push(round);
    }
    for guest in guests {
        guest.join().map_err(|_| "a philosopher panicked")??;
    }
    for (name, rounds) in &rounds {
        let in_order = rounds.iter().copied().eq(0..ROUNDS);
        println!("{name}: {} thoughts, in order: {in_order}", rounds.len());
    }
    for (n, chopstick) in chopsticks.iter().enumerate() {
        let chopstick = chopstick.lock().map_err(|error| error.to_string())?;
        println!("chopstick {n}: {} meals", chopstick.meals);
    }
    Ok(())
}
