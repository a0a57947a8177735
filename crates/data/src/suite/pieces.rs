//! Items from running text: pieces whose beginning is the prompt and whose rest is the answer.

use scalelaw_schema::skill::{SkillItem, Target};

use crate::error::suite::SuiteError;
use crate::suite::item::PlacedItem;

/// Instances and pieces that are gathered for each item that is wanted.
pub(crate) const LOOK_AHEAD: u64 = 8;

/// Shortest piece that is an item, bytes.
const MIN_BYTES: usize = 12;

/// Gathers pieces, then returns a sample of them.
pub(crate) struct Pieces<'a> {
    bytes: usize,
    answer_after: Option<&'a str>,
    most: u64,
    found: Vec<(String, String)>,
}

impl<'a> Pieces<'a> {
    /// At most `most` pieces of at most `bytes` bytes. With `answer_after` a piece is a whole document, and its answer
    /// begins after that text.
    pub(crate) fn new(
        bytes: u64,
        answer_after: Option<&'a str>,
        most: u64,
    ) -> Result<Pieces<'a>, SuiteError> {
        let least = 2 * MIN_BYTES as u64;
        if bytes < least {
            return Err(SuiteError::ShortPieces { bytes, least });
        }
        Ok(Pieces { bytes: bytes as usize, answer_after, most, found: Vec::new() })
    }

    /// Whether there are enough for a fair sample.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() as u64 >= self.most.saturating_mul(LOOK_AHEAD)
    }

    /// Adds the pieces of a document.
    pub(crate) fn add(&mut self, text: &str) {
        match self.answer_after {
            Some(mark) => {
                let text = text.trim_end();
                if text.len() <= self.bytes
                    && let Some(at) = text.find(mark)
                {
                    let (prompt, answer) = text.split_at(at + mark.len());
                    if !answer.is_empty() {
                        self.found.push((prompt.to_string(), answer.to_string()));
                    }
                }
            }
            None => {
                let mut rest = text.trim();
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(cut(rest, self.bytes));
                    if piece.trim().len() >= MIN_BYTES {
                        let (prompt, answer) = piece.split_at(cut(piece, self.bytes / 3));
                        if !answer.trim().is_empty() {
                            self.found.push((prompt.to_string(), answer.to_string()));
                        }
                    }
                    rest = after;
                }
            }
        }
    }

    /// A sample of the pieces, each text once: the first ones in the order of a hash.
    pub(crate) fn into_items(mut self) -> Vec<PlacedItem> {
        self.found.sort_by_cached_key(|(prompt, answer)| {
            *blake3::hash(format!("{prompt}{answer}").as_bytes()).as_bytes()
        });
        self.found.dedup();
        self.found.truncate(self.most as usize);
        let to_item = |(prompt, answer)| SkillItem {
            prompt,
            target: Target::Answer(answer),
            group: None,
            chance: None,
            spans: Vec::new(),
        };
        self.found.into_iter().map(|piece| to_item(piece).into()).collect()
    }
}

/// Where to cut so that at most `bytes` bytes come before: at the last white space, which begins the next piece as it
/// begins a token; within a word if there is none.
fn cut(text: &str, bytes: usize) -> usize {
    if text.len() <= bytes {
        return text.len();
    }
    let end = (0..=bytes).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let space = text[..end].rfind(char::is_whitespace).filter(|&at| at > 0);
    space.unwrap_or(if end > 0 { end } else { text.chars().next().map_or(0, char::len_utf8) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_text_cut_at_spaces_and_no_longer_than_asked_for() {
        let text = crate::testing::text(3, 20_000);
        let mut pieces = Pieces::new(120, None, 1 << 20).unwrap();
        pieces.add(&text);
        let whole: String = pieces.found.iter().map(|(prompt, answer)| format!("{prompt}{answer}")).collect();
        // All of it but the last pieces, which may be too short, and what is white.
        let letters = |text: &str| text.replace(char::is_whitespace, "");
        assert!(
            whole.len() > text.len() - 200
                && letters(&text).starts_with(&letters(&whole).chars().take(10_000).collect::<String>())
        );
        for (prompt, answer) in &pieces.found {
            assert!(prompt.len() + answer.len() <= 120 && prompt.len() <= 40 && !answer.trim().is_empty());
        }
        let japanese = "日本語".repeat(100);
        let mut pieces = Pieces::new(30, None, 10).unwrap();
        pieces.add(&japanese);
        assert_eq!(pieces.found[0], ("日本語".to_string(), "日本語日本語日".to_string()));
    }

    #[test]
    fn an_answer_begins_after_its_mark() {
        let mut pieces = Pieces::new(40, Some("\nproof:"), 10).unwrap();
        pieces.add("t: a => b\nproof: mp x\n");
        pieces.add("t: a => b, which is much too long\nproof: mp x\n");
        pieces.add("no mark");
        let items = pieces.into_items();
        assert_eq!(items.len(), 1);
        assert_eq!((items[0].item.prompt.as_str(), items[0].item.answer()), ("t: a => b\nproof:", " mp x"));
    }
}
