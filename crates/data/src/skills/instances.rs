//! Which instances of a problem are held out, so that no training document has them.

use crate::skills::draws::{self, Draws};
use crate::skills::task::Part;

/// One in this many instances is held out.
const HELD_OUT_EVERY: u64 = 20;

/// Whether an instance belongs to a part, by its hash alone.
fn is_in(part: Part, instance: &[u8]) -> bool {
    let is_held_out = draws::hash_of_bytes(instance).is_multiple_of(HELD_OUT_EVERY);
    is_held_out == (part == Part::HeldOut)
}

/// Draws until an instance belongs to the part.
pub(crate) fn draw_in<T>(
    part: Part,
    draws: &mut Draws,
    mut draw: impl FnMut(&mut Draws) -> T,
    instance: impl Fn(&T) -> Vec<u8>,
) -> T {
    loop {
        let drawn = draw(draws);
        if is_in(part, &instance(&drawn)) {
            return drawn;
        }
    }
}
