package sip

import (
	"errors"
	"net/netip"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/roomline/roomline/sip/grammar"
	"github.com/roomline/roomline/sip/text"
)

// allowed is the Allow header field: the methods that are built.
const allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY"

// recognised methods are known and not built: they get 405, others 501.
var recognised = map[sipmsg.RequestMethod]bool{
	sipmsg.REGISTER: true, sipmsg.SUBSCRIBE: true,
	sipmsg.MESSAGE: true, sipmsg.PUBLISH: true,
}

// respond builds a response to req in the name of this UA, section 8.2.6. tag
// is our To tag, used unless the request has one already.
func (u *UA) respond(req *sipmsg.Request, code int, phrase, tag string) *sipmsg.Response {
	res := sipmsg.NewResponseFromRequest(req, code, phrase, nil)
	if to := res.To(); code > 100 && !req.To().Params.Has("tag") {
		to.Params.Add("tag", tag)
	}
	if via := res.Via(); via != nil {
		source, err := netip.ParseAddrPort(req.Source())
		if err == nil && strings.Trim(via.Host, "[]") != source.Addr().Unmap().String() {
			via.Params.Add("received", source.Addr().Unmap().String())
		}
	}
	res.AppendHeader(sipmsg.NewHeader("Server", u.config.UserAgent))
	if code > 100 {
		res.AppendHeader(sipmsg.NewHeader("Allow", allowed))
		res.AppendHeader(sipmsg.NewHeader("Supported", supported))
	}
	return res
}

// reply answers a request that belongs to no Line, in words.
func (u *UA) reply(req *sipmsg.Request, tx *sipmsg.ServerTx, code int, phrase string, more ...sipmsg.Header) {
	res := u.respond(req, code, phrase, u.tagFor(req))
	for _, h := range more {
		res.AppendHeader(h)
	}
	if code >= 300 && len(res.GetHeaders("Warning")) == 0 {
		res.AppendHeader(warning(399, phrase))
	}
	tx.Respond(res)
	u.pressure.relieve(tx)
}

// respondInvite answers an INVITE. sipgo answers a CANCEL by itself, and would
// repeat what crosses it in the place of its own 487: that is put back.
func (u *UA) respondInvite(req *sipmsg.Request, tx *sipmsg.ServerTx, res *sipmsg.Response) error {
	err := tx.Respond(res)
	if errors.Is(err, sipmsg.ErrTransactionCanceled) && res.StatusCode != 487 {
		tx.Respond(u.respond(req, 487, "Request Terminated", u.tagFor(req)))
	}
	return err
}

// tagFor is our tag in responses to req; the guard makes the same one.
func (u *UA) tagFor(req *sipmsg.Request) string {
	return u.guard.Tag(req.CallID().Value(), req.From().Params.GetOr("tag", ""), grammar.SeqOf(req.CSeq().Value()))
}

// warning is the Warning header field, section 20.43.
func warning(code int, words string) sipmsg.Header {
	return sipmsg.NewHeader("Warning", itoa(code)+` roomline "`+text.Printable(words, 200)+`"`)
}

// withBody puts an SDP body into a message.
func withBody(m sipmsg.Message, body []byte) {
	m.AppendHeader(sipmsg.NewHeader("Content-Type", "application/sdp"))
	m.SetBody(body)
}
