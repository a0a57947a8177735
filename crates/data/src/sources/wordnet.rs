//! Entries of WordNet's `data.*` files as text (the format is that of wndb(5WN)).

use crate::error::sources::{BadEntry, EntryError};

/// One text per entry: `headword, headword (noun): definition`. The examples after a definition are dropped.
pub(crate) fn entries(text: &str) -> Result<Vec<String>, BadEntry> {
    let mut entries = Vec::new();
    for (line_idx, line) in text.lines().enumerate() {
        // The lines of the licence are indented.
        if line.starts_with("  ") || line.trim().is_empty() {
            continue;
        }
        let not_an_entry = BadEntry { line: line_idx as u64 + 1, why: EntryError::NotWordnet };
        entries.push(entry(line).ok_or(not_an_entry)?);
    }
    Ok(entries)
}

/// `offset lex_filenum ss_type w_cnt word lex_id [word lex_id ...] ... | gloss`, `w_cnt` being hexadecimal.
fn entry(line: &str) -> Option<String> {
    let (fields, gloss) = line.split_once(" | ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let part_of_speech = match *fields.get(2)? {
        "n" => "noun",
        "v" => "verb",
        "a" | "s" => "adjective",
        "r" => "adverb",
        _ => return None,
    };
    let n_words = usize::from_str_radix(fields.get(3)?, 16).ok()?;
    let words: Option<Vec<String>> = (0..n_words)
        .map(|word_idx| {
            let word = fields.get(4 + 2 * word_idx)?.replace('_', " ");
            // An adjective's syntactic marker, such as `(p)`.
            Some(word.split('(').next().unwrap_or_default().to_string())
        })
        .collect();
    let definition = gloss.split("; \"").next()?.trim();
    if definition.is_empty() {
        return None;
    }
    Some(format!("{} ({part_of_speech}): {definition}\n", words?.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_its_headwords_and_its_definition_without_examples() {
        let text = "  1 This software is licensed\n\
            00002137 03 n 02 abstraction 0 abstract_entity 0 002 @ 00001740 n 0000 ~ 00023100 n 0000 | a general concept; \"he loved her only in the abstract\"  \n\
            00014358 00 a 01 galore(ip) 0 001 & 00013887 a 0000 | in great numbers  \n";
        assert_eq!(
            entries(text).unwrap(),
            [
                "abstraction, abstract entity (noun): a general concept\n",
                "galore (adjective): in great numbers\n"
            ]
        );
        let error = entries("  1 x\n\nentity\n").unwrap_err();
        assert_eq!(error, BadEntry { line: 3, why: EntryError::NotWordnet });
    }
}
