package train

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/locus-learn/locus/recipe"
)

// Validate checks what tags cannot: the name becomes that of a folder.
func (c Config) Validate() error {
	bad := func(r rune) bool { return r == '/' || r == '\\' || !unicode.IsPrint(r) }
	if c.Name == "" || c.Name == "." || c.Name == ".." || len(c.Name) > longestName || strings.ContainsFunc(c.Name, bad) {
		return recipe.Invalid("name", c.Name, fmt.Sprintf("one element of a path: printable, without / and \\, not . or .., at most %d bytes long", longestName))
	}
	return nil
}

// longestName leaves room for the time that is put behind it: file systems take 255 bytes.
const longestName = 200
