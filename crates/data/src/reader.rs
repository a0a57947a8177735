//! Reads the documents of a part one after the other, each text once.

use std::collections::HashSet;
use std::slice::Iter;

use serde::{Deserialize, Serialize};

use crate::DataError;
use crate::corpus::{Documents, Split};
use crate::document::{Digest, Document};
use crate::skills::{Generated, Part};

/// What was met on the way to a place in a part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Met {
    /// Places in the list, whatever was there.
    pub listed: usize,
    /// Documents that were read.
    pub documents: u64,
    /// Equal to an earlier one or to a held-out one.
    pub duplicates: u64,
    /// Binary, not UTF-8, or white space alone.
    pub not_text: u64,
}

pub(crate) struct Reader<'a> {
    source: Source<'a>,
    tag: &'a str,
    seen: HashSet<Digest>,
    met: Met,
}

enum Source<'a> {
    Listed(Iter<'a, Document>),
    /// The place in the order is in [`Met::listed`]. Equal documents stay: they are as frequent as they must be.
    Generated(&'a Generated, Part),
}

fn source_of(documents: &Documents) -> Source<'_> {
    match documents {
        Documents::Listed(documents) => Source::Listed(documents.iter()),
        Documents::Generated(generated, part) => Source::Generated(generated, *part),
    }
}

impl<'a> Reader<'a> {
    /// Reads the held-out part.
    pub(crate) fn held_out(split: &'a Split) -> Reader<'a> {
        let (source, tag) = (source_of(&split.held_out), split.tag.as_deref().unwrap_or_default());
        Reader { source, tag, seen: HashSet::new(), met: Met::default() }
    }

    /// Reads the training part without what equals a held-out document.
    ///
    /// # Errors
    /// `Io`, `Changed`: the held-out documents are read for it.
    pub(crate) fn train(split: &'a Split) -> Result<Reader<'a>, DataError> {
        let mut held_out = Reader::held_out(split);
        while matches!(held_out.source, Source::Listed(_)) && held_out.pass()? {}
        let source = source_of(&split.train);
        Ok(Reader { source, tag: held_out.tag, seen: held_out.seen, met: Met::default() })
    }

    /// Reads the held-out part as it is without a tag.
    pub(crate) fn untagged_held_out(split: &'a Split) -> Reader<'a> {
        Reader { tag: "", ..Reader::held_out(split) }
    }

    /// Reads the training part as it is without a tag.
    ///
    /// # Errors
    /// As [`Reader::train`].
    pub(crate) fn untagged_train(split: &'a Split) -> Result<Reader<'a>, DataError> {
        Ok(Reader { tag: "", ..Reader::train(split)? })
    }

    /// What was met so far.
    pub(crate) fn met(&self) -> Met {
        self.met
    }

    /// The next text; nothing at the end.
    ///
    /// # Errors
    /// `Io`, `Changed`.
    pub(crate) fn next_text(&mut self) -> Result<Option<String>, DataError> {
        let documents = match &mut self.source {
            Source::Listed(documents) => documents,
            Source::Generated(generated, part) => {
                let idx = self.met.listed as u64;
                // A pool is of training documents: the held-out ones need no end.
                if *part == Part::Train && generated.pool.is_some_and(|pool| idx >= pool) {
                    return Ok(None);
                }
                self.met.listed += 1;
                self.met.documents += 1;
                return Ok(Some(format!("{}{}", self.tag, generated.task.document(*part, idx).text)));
            }
        };
        for document in documents.by_ref() {
            self.met.listed += 1;
            let Some(text) = document.read()? else {
                self.met.not_text += 1;
                continue;
            };
            if self.seen.insert(text.content) {
                self.met.documents += 1;
                return Ok(Some(match self.tag {
                    "" => text.text,
                    tag => format!("{tag}{}", text.text),
                }));
            }
            self.met.duplicates += 1;
        }
        Ok(None)
    }

    /// Goes on until `listed` places are behind it, to continue where an earlier reader was.
    ///
    /// # Errors
    /// `Io`, `Changed`.
    pub(crate) fn skip_to(&mut self, listed: usize) -> Result<(), DataError> {
        if matches!(self.source, Source::Generated(..)) {
            (self.met.listed, self.met.documents) = (listed, listed as u64);
            return Ok(());
        }
        while self.met.listed < listed && self.pass()? {}
        Ok(())
    }

    /// Takes notice of one place, reading it only where its content is not known; `false` at the end.
    fn pass(&mut self) -> Result<bool, DataError> {
        let Source::Listed(documents) = &mut self.source else { return Ok(false) };
        let Some(document) = documents.next() else { return Ok(false) };
        self.met.listed += 1;
        let content = match document.content {
            Some(content) => Some(content),
            None => document.read()?.map(|text| text.content),
        };
        match content {
            None => self.met.not_text += 1,
            Some(content) if self.seen.insert(content) => self.met.documents += 1,
            Some(_) => self.met.duplicates += 1,
        }
        Ok(true)
    }
}
