//! A pcap file: a frame every microsecond.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
    time::Duration,
};

use pcap_file::{
    DataLink, PcapError,
    pcap::{PcapHeader, PcapPacket, PcapWriter},
};

use crate::commands::CommandError;

/// A file that is being written.
pub(super) struct Pcap {
    writer: PcapWriter<BufWriter<File>>,
    path: String,
    written: u64,
}

impl Pcap {
    pub(super) fn create(path: &Path) -> Result<Self, CommandError> {
        let name = path.display().to_string();
        let file =
            File::create(path).map_err(|source| CommandError::File { action: "write", path: name.clone(), source })?;
        let header = PcapHeader { datalink: DataLink::ETHERNET, ..PcapHeader::default() };
        let writer = PcapWriter::with_header(BufWriter::new(file), header).map_err(failed(&name))?;
        Ok(Self { writer, path: name, written: 0 })
    }

    pub(super) fn write(&mut self, frame: &[u8]) -> Result<(), CommandError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let packet = PcapPacket::new(Duration::from_micros(self.written), length, frame);
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
