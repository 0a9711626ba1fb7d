package testenv

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// innodbLogSize keeps the redo log, most of a new data directory, small. The
// template and the server must agree on it.
const innodbLogSize = "--innodb-log-file-size=16M"

// installTimeout bounds mariadb-install-db, which takes half a second.
const installTimeout = 2 * time.Minute

// copyTemplate fills the new directory data with a fresh MariaDB system
// database. It is made once per version of mariadbd and user, kept as one tar
// file in the temporary directory, and unpacked from there. Processes that
// make it at the same time do no harm: each builds its own and renames it into
// place.
func copyTemplate(data, mariadbd string, as []string) error {
	version, err := exec.Command(mariadbd, "--no-defaults", "--version").Output()
	if err != nil {
		return fmt.Errorf("ask mariadbd for its version: %w", err)
	}
	sum := sha256.Sum256(fmt.Append(version, innodbLogSize, as))
	template := filepath.Join(os.TempDir(), fmt.Sprintf("longlink-mariadb-%d-%x.tar", os.Getuid(), sum[:6]))
	if err := checkTemplate(template); errors.Is(err, os.ErrNotExist) {
		err = makeTemplate(template, as)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	return unpack(template, data)
}

// checkTemplate refuses a template that another user has put there: the
// temporary directory belongs to everybody.
func checkTemplate(template string) error {
	info, err := os.Lstat(template)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.Mode().IsRegular() || int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("%s is not a file of this user: remove it", template)
	}
	return nil
}

func makeTemplate(template string, as []string) (err error) {
	install, err := find("mariadb-install-db", "mariadb-server-core")
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(template), "longlink-mariadb-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	data := filepath.Join(work, "data")
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	args := append([]string{
		"--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal",
		"--skip-test-db", "--skip-name-resolve", innodbLogSize,
	}, as...)
	if out, err := exec.CommandContext(ctx, install, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
	}
	packed := filepath.Join(work, "template.tar")
	if err := pack(data, packed); err != nil {
		return err
	}
	return os.Rename(packed, template)
}

// pack writes the directories and files under dir into a tar file.
func pack(dir, file string) error {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	return errors.Join(w.AddFS(os.DirFS(dir)), w.Close(), out.Close())
}

// unpack writes what is in a tar file of pack into the new directory dir.
func unpack(file, dir string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(in); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeDir {
			err = root.Mkdir(filepath.Clean(header.Name), 0o700)
		} else {
			err = unpackFile(root, header.Name, r)
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", header.Name, err)
		}
	}
}

func unpackFile(root *os.Root, name string, content io.Reader) error {
	out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	return errors.Join(err, out.Close())
}
