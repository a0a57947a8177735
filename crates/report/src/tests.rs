//! Claims about the whole page.
