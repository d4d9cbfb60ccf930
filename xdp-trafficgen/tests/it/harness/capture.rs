//! What arrives at `xtg1`, captured by tcpdump.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pcap_file::{DataLink, pcap::PcapReader};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{Running, reached};

/// A running tcpdump that already listens.
pub(crate) struct Capture {
    tcpdump: Running,
    file: PathBuf,
}

impl Capture {
    /// Captures up to so many frames that pass `filter`.
    #[track_caller]
    pub(crate) fn start(folder: &TempDir, frames: u64, filter: &str) -> Self {
        let file = folder.path().join("arrived.pcap");
        let mut command = Command::new("tcpdump");
        // A buffer of 256 MiB has room for all frames, however long tcpdump waits for its turn. The
        // file is written frame by frame, so that the test sees when all are there.
        command.args(["-i", "xtg1", "-Q", "in", "-Z", "root", "-B", "262144", "-U", "-n"]);
        if let Ok(count) = u32::try_from(frames) {
            command.args(["-c", &count.to_string()]);
        }
        command.arg("-w").arg(&file).arg(filter);
        let mut tcpdump = Running::start(command);
        tcpdump.wait_until("tcpdump listens", |tcpdump| tcpdump.stderr().contains("listening on"));
        Self { tcpdump, file }
    }

    /// Waits until tcpdump has captured as many frames as it was started for.
    #[track_caller]
    pub(crate) fn end(self) -> Vec<Vec<u8>> {
        let finished = self.tcpdump.end();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        frames(&self.file)
    }

    /// Ends tcpdump when it has captured `wanted` frames; the caller checks that there are no more.
    #[track_caller]
    pub(crate) fn stop(self, wanted: u64) -> Vec<Vec<u8>> {
        reached(|| count(&self.file) >= wanted);
        self.tcpdump.signal(Signal::INT);
        let finished = self.tcpdump.end();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        frames(&self.file)
    }
}

/// The number of whole frames in a file that may end within one.
fn count(file: &Path) -> u64 {
    let Ok(mut reader) = PcapReader::new(fs::File::open(file).unwrap()) else { return 0 };
    let mut frames = 0;
    while let Some(Ok(_)) = reader.next_raw_packet() {
        frames += 1;
    }
    frames
}

/// All frames of a file.
#[track_caller]
pub(crate) fn frames(file: &Path) -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(fs::File::open(file).unwrap()).unwrap();
    assert_eq!(reader.header().datalink, DataLink::ETHERNET);
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        assert_eq!(packet.data.len(), usize::try_from(packet.orig_len).unwrap(), "a whole frame");
        frames.push(packet.data.into_owned());
    }
    frames
}
