//! A pcap, in a file or on standard output: frames at the times they leave at, or one every
//! microsecond.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
    time::Duration,
};

use pcap_file::{
    DataLink, PcapError, TsResolution,
    pcap::{PcapHeader, PcapPacket, PcapWriter},
};

use crate::{
    commands::{CommandError, target::Target},
    output::streams::Results,
};

/// The times of a file's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// One every microsecond, in as many digits.
    Microseconds,
    /// Those of departures, in nanoseconds.
    Departures,
}

/// A file that is being written, or standard output.
pub(super) struct Pcap {
    writer: PcapWriter<BufWriter<Box<dyn Write>>>,
    /// None: standard output.
    target: Option<Target>,
    written: u64,
}

impl Pcap {
    /// `-` is standard output.
    pub(super) fn create(path: &Path, times: Times) -> Result<Self, CommandError> {
        let target = if path == Path::new("-") { None } else { Some(Target::open(path)?) };
        let file = |target: &Target| target.rewrite()?.try_clone();
        let out: Box<dyn Write> = match &target {
            Some(target) => Box::new(file(target).map_err(|error| target.unwritten(error))?),
            None => Box::new(Results),
        };
        let ts_resolution = match times {
            Times::Microseconds => TsResolution::MicroSecond,
            Times::Departures => TsResolution::NanoSecond,
        };
        let header =
            PcapHeader { datalink: DataLink::ETHERNET, ts_resolution, ..PcapHeader::default() };
        match PcapWriter::with_header(BufWriter::new(out), header) {
            Ok(writer) => Ok(Self { writer, target, written: 0 }),
            Err(error) => Err(failed(target.as_ref(), error)),
        }
    }

    /// `due`: when it leaves; one without such a time is in its place among all frames of the file,
    /// a microsecond each.
    pub(super) fn write(
        &mut self,
        frame: &[u8],
        due: Option<Duration>,
    ) -> Result<(), CommandError> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other);
        let length =
            length.map_err(|error| failed(self.target.as_ref(), PcapError::IoError(error)))?;
        let packet =
            PcapPacket::new(due.unwrap_or(Duration::from_micros(self.written)), length, frame);
        self.writer.write_packet(&packet).map_err(|error| failed(self.target.as_ref(), error))?;
        self.written += 1;
        Ok(())
    }

    /// Whether it is written to standard output.
    pub(super) const fn is_on_stdout(&self) -> bool {
        self.target.is_none()
    }

    pub(super) fn finish(self) -> Result<(), CommandError> {
        let flushed = self.writer.into_writer().flush();
        flushed.map_err(|error| failed(self.target.as_ref(), PcapError::IoError(error)))
    }
}

fn failed(target: Option<&Target>, error: PcapError) -> CommandError {
    let error = match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    };
    match target {
        Some(target) => target.unwritten(error),
        None => CommandError::standard_output(error),
    }
}
