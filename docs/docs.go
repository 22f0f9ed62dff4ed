// Package docs holds the page that the command shows parts of: what each key of a configuration means is said once.
package docs

import _ "embed"

// Formats is docs/formats.md.
//
//go:embed formats.md
var Formats string
