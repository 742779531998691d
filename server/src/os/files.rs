//! Files of the control plane: configuration, its fragments, its rewrite.
//!
//! Small functions over paths, called at start and by CONFIG; never from a loop's hot path. Nothing here keeps a
//! file open, and a file is replaced as a whole or not at all.
#![allow(clippy::disallowed_methods, reason = "this is the door to the disk")]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

pub fn read_stdin() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    Ok(text)
}

/// The absolute path of a directory that exists and can be entered.
pub fn directory(path: &Path) -> io::Result<PathBuf> {
    let absolute = path.canonicalize()?;
    fs::metadata(absolute.join("."))?;
    Ok(absolute)
}

/// Works in another directory from now on.
pub fn enter(directory: &Path) -> io::Result<()> {
    std::env::set_current_dir(directory)
}

/// Names in a directory, sorted bytewise; those that are not UTF-8 are left out.
pub fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    let mut names: Vec<_> = entries
        .into_iter()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Fails if lines could not be appended to this file; creates it if it is missing.
pub fn check_appendable(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map(drop)
}

/// Replaces a file by new content so that a crash at any point leaves the old or the new one, whole: temporary file
/// beside it, fsync, rename, fsync of the directory. Keeps the permissions of the old file and follows a symbolic
/// link to it; a new file can be read by its owner alone, for it may hold a password.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let permissions = match fs::metadata(&path) {
        Ok(old) => old.permissions(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Permissions::from_mode(0o600),
        Err(error) => return Err(error),
    };
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let temporary = temporary_beside(&path);
    // Left by a crash of a process that had our number (always 1 in a container).
    fs::remove_file(&temporary).ok();
    let replaced =
        write_new(&temporary, content, permissions).and_then(|()| fs::rename(&temporary, &path));
    if let Err(error) = replaced {
        // The first failure is the one to report; a temporary file that was never made cannot be removed either.
        fs::remove_file(&temporary).ok();
        return Err(error);
    }
    File::open(directory)?.sync_all()
}

/// A name that no two processes share; within one process the caller writes one file at a time.
fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

fn write_new(path: &Path, content: &[u8], permissions: Permissions) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.set_permissions(permissions)?;
    file.sync_all()
}

/// An error as `strerror` words it, without the number that Rust adds.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_mode_and_leaves_nothing_behind() {
        let directory = std::env::temp_dir().join(format!("ostraka-files-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("a.conf");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let link = directory.join("link.conf");
        std::os::unix::fs::symlink(&file, &link).unwrap();

        replace(&link, b"new").unwrap();

        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(&directory).unwrap(), ["a.conf", "link.conf"]);
        assert_eq!(
            reason(&read(&directory.join("none")).unwrap_err()),
            "No such file or directory"
        );
        fs::remove_dir_all(&directory).unwrap();
    }
}
