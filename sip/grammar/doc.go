// Package grammar reads SIP messages as strangers write them: leniently, so that
// even a broken one can be answered ([Read]), and then strictly, so that what is
// wrong is told in words and with the right response code ([Check]). Beside that
// it takes header values apart: addresses, parameters, lists (RFC 3261 section 25).
//
// It is pure text. It knows no sockets, transactions or dialogs, and starts no goroutine.
package grammar
