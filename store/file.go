package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/roomline/roomline/dialplan"
)

const (
	snapshotFile = "plan.json"
	adminKeyFile = "admin.key"
)

// SaveSnapshot writes the plan to a file in the data folder, mode 0600: the old
// file stays until the new one is whole and on the disk.
func SaveSnapshot(dir string, p *dialplan.Plan) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("save the dial plan: %w", err)
	}
	file, err := os.CreateTemp(dir, snapshotFile+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("save the dial plan: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = file.Write(append(b, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, snapshotFile))
	}
	if err = errors.Join(err, syncDir(dir)); err != nil {
		return fmt.Errorf("save the dial plan: %w", err)
	}
	return nil
}

// LoadSnapshot reads what SaveSnapshot wrote; an error that is fs.ErrNotExist when there is none.
func LoadSnapshot(dir string) (*dialplan.Plan, error) {
	b, err := os.ReadFile(filepath.Join(dir, snapshotFile))
	if err != nil {
		return nil, fmt.Errorf("load the last dial plan: %w", err)
	}
	var p dialplan.Plan
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("load the last dial plan from %s: %w", snapshotFile, err)
	}
	return &p, nil
}

// AdminKey reads the admin key of a data folder, or makes it (mode 0600); created says which.
func AdminKey(dir string) (secret string, created bool, err error) {
	path := filepath.Join(dir, adminKeyFile)
	b, err := os.ReadFile(path)
	if err == nil {
		if secret = strings.TrimSpace(string(b)); secret == "" {
			return "", false, fmt.Errorf("the admin key file %s is empty: write a key into it, or remove it to get a new one", path)
		}
		return secret, false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("read the admin key: %w", err)
	}
	secret = newSecret()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", false, fmt.Errorf("keep the admin key: %w", err)
	}
	_, err = file.WriteString(secret + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", false, fmt.Errorf("keep the admin key: %w", err)
	}
	return secret, true, nil
}

// syncDir puts the names of a folder on the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
