//! The tokens of documents as one stream, made as they are needed.

use std::collections::VecDeque;

use crate::corpus::reader::{ReadProgress, Reader};
use crate::error::DataError;
use crate::tokens::tokenizer::Tokenizer;

/// Text that is read before all cores tokenise it at once, bytes.
const GROUP_BYTES: usize = 4 << 20;

/// The documents of a part in their order, each followed by the end-of-document token.
pub(crate) struct Stream<'a> {
    reader: Reader<'a>,
    tokenizer: &'a Tokenizer,
    /// Tokens that are made and not yet consumed.
    pub tokens: Vec<u16>,
    /// Number of tokens consumed.
    n_consumed: u64,
    /// The documents that are not yet wholly consumed.
    documents: VecDeque<DocumentStart>,
}

#[derive(Clone, Copy)]
struct DocumentStart {
    /// What had been read before the document.
    before: ReadProgress,
    /// Position of its first token in the stream.
    token: u64,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(reader: Reader<'a>, tokenizer: &'a Tokenizer) -> Stream<'a> {
        Stream { reader, tokenizer, tokens: Vec::new(), n_consumed: 0, documents: VecDeque::new() }
    }

    /// Reads on until `n_tokens` tokens are there, or the documents end.
    ///
    /// # Errors
    /// `Io`, `Changed`.
    pub(crate) fn fill(&mut self, n_tokens: usize) -> Result<(), DataError> {
        while self.tokens.len() < n_tokens {
            // A token has at least a byte, so little is read that is not needed.
            let group_bytes = GROUP_BYTES.min(2 * (n_tokens - self.tokens.len()));
            let (mut texts, mut befores, mut bytes) = (Vec::new(), Vec::new(), 0);
            while bytes < group_bytes {
                befores.push(self.reader.progress());
                let Some(text) = self.reader.next_text()? else { break };
                bytes += text.len();
                texts.push(text);
            }
            if texts.is_empty() {
                break;
            }
            for (before, tokens) in befores.into_iter().zip(self.tokenizer.encode_documents(&texts)) {
                let token = self.n_consumed + self.tokens.len() as u64;
                self.documents.push_back(DocumentStart { before, token });
                self.tokens.extend(tokens);
            }
        }
        Ok(())
    }

    /// Advances past `n_tokens` tokens.
    pub(crate) fn advance(&mut self, n_tokens: usize) {
        self.tokens.drain(..n_tokens.min(self.tokens.len()));
        self.n_consumed += n_tokens as u64;
        while self.documents.get(1).is_some_and(|next| next.token <= self.n_consumed) {
            self.documents.pop_front();
        }
    }

    /// What had been read before the document of the next token, and how many of its tokens are consumed.
    pub(crate) fn position(&self) -> (ReadProgress, u64) {
        match self.documents.front() {
            Some(document) if !self.tokens.is_empty() => (document.before, self.n_consumed - document.token),
            _ => (self.reader.progress(), 0),
        }
    }
}
