//! Tells of all skipped steps of a run at once: a run that diverges skips a dozen of them.

/// One sentence on the steps (from 0, in order) whose gradient was not finite; none where there are none.
pub(crate) fn text(steps: &[u64]) -> Option<String> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &step in steps {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == step => *last = step,
            _ => ranges.push((step, step)),
        }
    }
    let range = |(first, last): &(u64, u64)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let ranges: Vec<String> = ranges.iter().map(range).collect();
    match steps.len() {
        0 => None,
        1 => Some(format!("step {} was skipped, its gradient was not finite", ranges[0])),
        n => Some(format!("{n} steps were skipped, their gradients were not finite: {}", ranges.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_range() {
        for (steps, expected) in [
            (&[][..], None),
            (&[7], Some("step 7 was skipped, its gradient was not finite")),
            (
                &[0, 4, 5, 6, 9, 20, 21],
                Some("7 steps were skipped, their gradients were not finite: 0, 4-6, 9, 20-21"),
            ),
        ] {
            assert_eq!(text(steps).as_deref(), expected, "{steps:?}");
        }
    }
}
