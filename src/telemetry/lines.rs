//! Lines, written by a thread of their own: whoever says something neither waits until it is read nor hears that it could not
//! be written.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

/// As much waits to be written; what is said while it does is dropped, and counted.
const WAITING_BYTES: usize = 4 << 20;
/// Lines are written together up to here.
const TOGETHER_BYTES: usize = 64 << 10;

/// Where lines are said.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    queue: Sender<Said>,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: AtomicUsize,
    /// Lines for which there was no room since that was written last.
    dropped: AtomicUsize,
}

#[derive(Debug)]
enum Said {
    Line(Vec<u8>),
    /// Answered when everything said before is written.
    Flush(Sender<()>),
}

impl Lines {
    pub(super) fn to(out: impl Write + Send + 'static) -> Self {
        let (queue, said) = mpsc::channel();
        let waiting = Arc::<Waiting>::default();
        let writer = Writer { out, waiting: Arc::clone(&waiting) };
        let spawned = std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run(&said));
        spawned.expect("this process can have one more thread of control");
        Self { queue, waiting }
    }

    /// Says a line, which has its line break.
    pub(super) fn say(&self, line: Vec<u8>) {
        let Waiting { bytes, dropped } = &*self.waiting;
        let length = line.len();
        if bytes.fetch_add(length, Ordering::Relaxed) + length > WAITING_BYTES {
            bytes.fetch_sub(length, Ordering::Relaxed);
            dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.say_what_is_missing();
        self.send(Said::Line(line));
    }

    /// Waits until everything said so far is written, and no longer than this.
    pub(super) fn flush(&self, patience: Duration) {
        self.say_what_is_missing();
        let (written, heard) = mpsc::channel();
        self.send(Said::Flush(written));
        // Whoever does not read until then is not waited for.
        let _ = heard.recv_timeout(patience);
    }

    fn say_what_is_missing(&self) {
        let Waiting { bytes, dropped } = &*self.waiting;
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let note = format!("… {missing} lines are missing here: they were not read in time\n").into_bytes();
            bytes.fetch_add(note.len(), Ordering::Relaxed);
            self.send(Said::Line(note));
        }
    }

    fn send(&self, said: Said) {
        self.queue.send(said).expect("the writer ends after the last who says something");
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.say(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Writer<W> {
    out: W,
    waiting: Arc<Waiting>,
}

impl<W: Write> Writer<W> {
    fn run(mut self, said: &Receiver<Said>) {
        while let Ok(first) = said.recv() {
            let mut text = Vec::new();
            let mut flushed = None;
            let mut next = Some(first);
            while let Some(said_next) = next {
                match said_next {
                    Said::Line(line) => text.extend(line),
                    Said::Flush(written) => flushed = Some(written),
                }
                let is_enough = text.len() > TOGETHER_BYTES || flushed.is_some();
                next = if is_enough { None } else { said.try_recv().ok() };
            }
            self.write(&text);
            self.waiting.bytes.fetch_sub(text.len(), Ordering::Relaxed);
            if let Some(written) = flushed {
                let _ = written.send(());
            }
        }
    }

    /// There is nobody to tell that a line cannot be written, and the next one may be.
    fn write(&mut self, text: &[u8]) {
        let _ = self.out.write_all(text).and_then(|()| self.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What was written, once the gate is open.
    #[derive(Clone, Default)]
    struct Gated {
        gate: Arc<Mutex<()>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gated {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _open = self.gate.lock().expect("nobody panics with it");
            self.written.lock().expect("nobody panics with it").extend(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken(mpsc::Sender<()>);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(());
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_said_faster_than_it_is_read_is_bounded_in_order_and_what_is_missing_is_counted() {
        let out = Gated::default();
        let shut = out.gate.lock().expect("nobody panics with it");
        let lines = Lines::to(out.clone());
        let line = |n: usize| format!("{n:>1023}\n").into_bytes();
        let said = WAITING_BYTES / 1024 + 5;
        (0..said).for_each(|n| lines.say(line(n)));
        assert!(lines.waiting.bytes.load(Ordering::Relaxed) <= WAITING_BYTES);
        drop(shut);
        lines.flush(Duration::from_secs(60));
        lines.say(b"after\n".to_vec());
        lines.flush(Duration::from_secs(60));
        let written = String::from_utf8(out.written.lock().expect("nobody panics with it").clone()).expect("text");
        let written: Vec<&str> = written.lines().collect();
        let (kept, rest) = written.split_at(said - 5);
        assert!(kept.iter().enumerate().all(|(n, line)| line.trim() == n.to_string()));
        assert_eq!(rest, ["… 5 lines are missing here: they were not read in time", "after"]);
    }

    #[test]
    fn a_line_that_cannot_be_written_is_let_go_and_the_next_one_is_tried() {
        let (tried, tries) = mpsc::channel();
        let lines = Lines::to(Broken(tried));
        for _ in 0..3 {
            lines.say(b"a line\n".to_vec());
            tries.recv_timeout(Duration::from_secs(60)).expect("it is tried");
        }
        lines.flush(Duration::from_secs(60));
        assert_eq!(lines.waiting.bytes.load(Ordering::Relaxed), 0);
    }
}
