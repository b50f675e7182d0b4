//! Models of the readers-writer lock: exclusion, order, and that neither a
//! reader nor a writer is forgotten.

use core::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::blocking::Model;
use crate::lock::{Plain, RwLock, RwLockWriteGuard};

type Lock = RwLock<u32, Model, Plain>;

fn write(lock: &Lock) {
    let mut value = lock.write();
    let seen = *value;
    *value = seen + 1;
}

/// Runs the threads and one more; all must end.
fn together(threads: &'static [fn(&Lock)], last: fn(&Lock), sum: u32) {
    loom::model(move || {
        let lock = Arc::new(Lock::new(0));
        let threads: Vec<_> = threads
            .iter()
            .map(|thread| {
                let lock = Arc::clone(&lock);
                thread::spawn(move || thread(&lock))
            })
            .collect();
        last(&lock);
        for thread in threads {
            thread.join().expect("all finish");
        }
        assert_eq!(*lock.read(), sum);
    });
}

fn read(lock: &Lock) {
    assert!(*lock.read() <= 2);
}

fn read_twice(lock: &Lock) {
    read(lock);
    read(lock);
}

fn give_up(lock: &Lock) {
    // Nothing is written: the sum does not depend on who came in.
    drop(lock.try_write_for(Duration::ZERO));
}

fn give_up_reading(lock: &Lock) {
    drop(lock.try_read_for(Duration::ZERO));
}

fn write_and_read(lock: &Lock) {
    let mut value = lock.write();
    let seen = *value;
    *value = seen + 1;
    let value = RwLockWriteGuard::downgrade(value);
    assert!(*value > 0);
}

#[test]
fn two_writers_exclude_each_other() {
    together(&[write], write, 2);
}

#[test]
fn two_readers_and_a_writer() {
    together(&[read, read], write, 1);
}

#[test]
fn a_reader_and_two_writers() {
    together(&[read, write], write, 2);
}

#[test]
fn readers_come_again() {
    together(&[read_twice], write, 1);
}

#[test]
fn a_writer_that_gives_up_stops_nobody() {
    together(&[give_up, read], read, 0);
    together(&[give_up, write], read, 1);
}

fn try_write(lock: &Lock) {
    if let Some(mut value) = lock.try_write() {
        let seen = *value;
        *value = seen + 1;
        drop(value);
        let mut value = lock.write();
        let seen = *value;
        *value = seen - 1;
    }
}

fn try_read(lock: &Lock) {
    if let Some(value) = lock.try_read() {
        assert!(*value <= 2);
    }
}

#[test]
fn one_that_does_not_wait_excludes_all_the_same() {
    together(&[try_write], write, 1);
    together(&[try_read], write, 1);
}

#[test]
fn a_reader_that_gives_up_stops_nobody() {
    together(&[give_up_reading, read], write, 1);
}

#[test]
fn a_writer_becomes_a_reader() {
    together(&[write_and_read, read], write, 2);
}
