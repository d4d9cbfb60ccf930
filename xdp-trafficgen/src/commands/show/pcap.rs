//! A pcap file: frames at the times they leave at, or one every microsecond.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
    time::Duration,
};

use pcap_file::{
    DataLink, PcapError, TsResolution,
    pcap::{PcapHeader, PcapPacket, PcapWriter},
};

use crate::commands::CommandError;

/// The times of a file's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// One every microsecond, in as many digits.
    Microseconds,
    /// Those of departures, in nanoseconds.
    Departures,
}

/// A file that is being written.
pub(super) struct Pcap {
    writer: PcapWriter<BufWriter<File>>,
    path: String,
    written: u64,
}

impl Pcap {
    pub(super) fn create(path: &Path, times: Times) -> Result<Self, CommandError> {
        let name = path.display().to_string();
        let file =
            File::create(path).map_err(|source| CommandError::File { action: "write", path: name.clone(), source })?;
        let ts_resolution = match times {
            Times::Microseconds => TsResolution::MicroSecond,
            Times::Departures => TsResolution::NanoSecond,
        };
        let header = PcapHeader { datalink: DataLink::ETHERNET, ts_resolution, ..PcapHeader::default() };
        let writer = PcapWriter::with_header(BufWriter::new(file), header).map_err(failed(&name))?;
        Ok(Self { writer, path: name, written: 0 })
    }

    /// `due`: when it leaves; one without such a time is in its place among all frames of the file, a microsecond each.
    pub(super) fn write(&mut self, frame: &[u8], due: Option<Duration>) -> Result<(), CommandError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let packet = PcapPacket::new(due.unwrap_or(Duration::from_micros(self.written)), length, frame);
        self.writer.write_packet(&packet).map_err(failed(&self.path))?;
        self.written += 1;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), CommandError> {
        let Self { writer, path, .. } = self;
        writer.into_writer().into_inner().map(drop).map_err(|error| CommandError::File {
            action: "write",
            path,
            source: error.into_error(),
        })
    }
}

fn failed(path: &str) -> impl FnOnce(PcapError) -> CommandError {
    let path = path.to_owned();
    move |error| CommandError::File { action: "write", path, source: io::Error::other(error) }
}
