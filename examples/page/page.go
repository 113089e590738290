// Package page is the page that every service shows at /_/, for those that are built by Go.
package page

import _ "embed" // the page

// HTML is the whole page: it needs nothing beside it.
//
//go:embed index.html
var HTML []byte
