//! One call of a command: its arguments and where its reply goes.

/// The arguments of one call, the command's name first. Borrowed from the connection's read buffer.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a>(pub &'a [&'a [u8]]);

impl<'a> Args<'a> {
    #[expect(clippy::len_without_is_empty, reason = "there is always a name")]
    pub fn len(self) -> usize {
        self.0.len()
    }

    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.0.get(index).copied()
    }

    /// The arguments from `index` on, as a call of its own.
    pub fn from(self, index: usize) -> Args<'a> {
        Args(self.0.get(index..).unwrap_or_default())
    }
}

/// What a handler works with.
pub struct Call<'a> {
    pub args: Args<'a>,
}

/// An error that the client is told.
pub struct Fault(pub &'static str);
