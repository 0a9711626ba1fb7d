package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"longlink/pkg/wire"
)

// FileStore is a CursorStore of one JSON file per device, DIR/DEVICE.json,
// replaced by rename after fsync, so that a crash leaves the old or the new one.
type FileStore struct{ dir string }

// NewFileStore uses dir, which is made at the first Save.
func NewFileStore(dir string) *FileStore { return &FileStore{dir: dir} }

func (f *FileStore) path(device string) (string, error) {
	if !wire.ValidName(device) {
		return "", fmt.Errorf("device %q cannot name a file: use 1 to 64 characters A-Z a-z 0-9 . _ ~ -", device)
	}
	return filepath.Join(f.dir, device+".json"), nil
}

// Load implements CursorStore. A file that is not a state is an error: going on
// without it would show the app old messages again.
func (f *FileStore) Load(device string) (State, error) {
	path, err := f.path(device)
	if err != nil {
		return State{}, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("reading the device's state: %w", err)
	}
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		return State{}, fmt.Errorf("the device's state %s is damaged (%w): restore it, or remove it to start anew", path, err)
	}
	return s, nil
}

// Save implements CursorStore.
func (f *FileStore) Save(device string, s State) error {
	path, err := f.path(device)
	if err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the device's state: %w", err)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("making the state directory: %w", err)
	}
	if err := replaceFile(path, b); err != nil {
		return fmt.Errorf("writing the device's state: %w", err)
	}
	return nil
}

func replaceFile(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
