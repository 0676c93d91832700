package chromium

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Packages is the folder with what a package.json names, installed once per
// version into the user's cache. With a package-lock.json beside it that is what
// is installed, to the byte. A failed install fails the test under CI and skips it
// elsewhere.
func Packages(t testing.TB, folder string) string {
	t.Helper()
	npm := Need(t, "npm", "apt-get install npm")
	wanted, err := os.ReadFile(filepath.Join(folder, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	files, install := map[string][]byte{"package.json": wanted}, []string{"install", "--no-package-lock"}
	if lock, err := os.ReadFile(filepath.Join(folder, "package-lock.json")); err == nil {
		files["package-lock.json"], install = lock, []string{"ci"}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	all := append(append([]byte{}, wanted...), files["package-lock.json"]...)
	installed := filepath.Join(cache, "roomline", fmt.Sprintf("web-tools-%x", sha256.Sum256(all))[:26])
	if _, err := os.Stat(installed); err == nil {
		return installed
	}
	if err := os.MkdirAll(filepath.Dir(installed), 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(installed), "new-")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(fresh, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.Command(npm, append(install, "--no-audit", "--no-fund", "--ignore-scripts")...)
	run.Dir = fresh
	if out, err := run.CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("npm %s: %v\n%s", install[0], err, out)
		}
		t.Skipf("the packages of %s could not be installed, so this is not tested: %v\n%s", folder, err, out)
	}
	if err := os.Rename(fresh, installed); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	return installed
}
