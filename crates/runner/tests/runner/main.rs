//! Workers and launchers as real processes, killed, starved and crowded.

mod fixture;

mod crash;
mod share;
mod storage;
mod sweep;
mod train_one;
mod trunk;

/// The door for the processes that the tests start; passes in an instant where it is called as a test.
#[test]
fn entry() {
    fixture::enter();
}
