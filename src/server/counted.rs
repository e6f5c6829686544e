//! A connection that counts what the kernel takes of its answers, and is cut when that is nothing for too long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::live::Drained;

/// A connection that counts what the kernel takes of its answers.
#[derive(Debug)]
pub(super) struct Counted {
    stream: TcpStream,
    drained: Drained,
    patience: Duration,
    /// Runs while the kernel takes nothing; boxed, because of most connections nobody ever waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.count(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Counted {
    /// A reader that takes no byte for so long is cut.
    pub(super) fn new(stream: TcpStream, drained: Drained, patience: Duration) -> Self {
        Self { stream, drained, patience, stalled: None }
    }

    fn count(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.stalled = None;
            if let Ok(bytes) = &written {
                self.drained.add(*bytes);
            }
            return Poll::Ready(written);
        }
        // A session says goodbye before its reader is cut, and gives it as long again to hear that.
        let patience = if self.drained.is_session() { 3 * self.patience } else { self.patience };
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        stalled
            .as_mut()
            .poll(context)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the reader takes nothing")))
    }
}
