package web

import "net/http"

// policy lets a page load from and talk to its own origin and nobody else: no
// inline script or style, no frames, no forms that leave the page, no string
// that becomes markup. A stolen token would have nowhere to go.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// permissions keeps for ourselves what the room needs and gives up the rest.
const permissions = "camera=(self), microphone=(self), speaker-selection=(self), autoplay=(self), " +
	"display-capture=(), geolocation=(), payment=(), usb=(), serial=(), bluetooth=(), midi=()"

// harden sets the headers that every answer carries.
func harden(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Permissions-Policy", permissions)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
