package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/train"
)

const (
	defaultTop = 5  // classes an image
	mostImages = 64 // a request
)

// request is what /predict takes as JSON. Images are files in base64.
type request struct {
	Image  []byte   `json:"image"`
	Images [][]byte `json:"images"`
	Top    *int     `json:"top"`
}

// response is what /predict answers, one prediction an image, in order.
type response struct {
	Predictions []prediction `json:"predictions"`
}

type prediction struct {
	Module  int     `json:"module"` // whose head answered, from 1
	Classes []class `json:"classes"`
}

type class struct {
	Class       string  `json:"class"`
	Probability float64 `json:"probability"`
}

// refusal is an answer of another code than 200.
type refusal struct {
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, code int, text string) {
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	answer(w, code, refusal{text})
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a client that has left needs no answer
}

func (s *Server) predict(w http.ResponseWriter, r *http.Request) {
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	default:
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("%d requests are being answered, which is all that serve.queue allows: try again", s.o.Queue))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(s.o.Seconds*float64(time.Second)))
	defer cancel()
	files, top, err := s.read(w, r)
	if err != nil {
		refuse(w, codeOf(err), err.Error())
		return
	}
	predictions, err := s.c.ClassifyFiles(ctx, files...)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("the answer took longer than %g s, which is all that serve.seconds allows: try again", s.o.Seconds))
		return
	case errors.Is(err, context.Canceled): // the client has left
		refuse(w, statusLeft, "the client has left")
		return
	case fault.Is(err):
		refuse(w, http.StatusUnprocessableEntity, "the image "+err.Error())
		return
	case err != nil:
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, http.StatusOK, s.respond(predictions, top))
}

// statusLeft is what counters call a request whose client has gone before the answer, as nginx does.
const statusLeft = 499

func (s *Server) respond(predictions []train.Prediction, top int) response {
	var out response
	for _, p := range predictions {
		s.metrics.answered(p.Module)
		one := prediction{Module: p.Module}
		for _, c := range p.Classes[:min(top, len(p.Classes))] {
			one.Classes = append(one.Classes, class(c))
		}
		out.Predictions = append(out.Predictions, one)
	}
	return out
}

// misuse is a request that cannot be answered, with its code.
type misuse struct {
	code int
	text string
}

func (m *misuse) Error() string { return m.text }

func codeOf(err error) int {
	if m, ok := errors.AsType[*misuse](err); ok {
		return m.code
	}
	return http.StatusBadRequest
}

func bad(code int, format string, args ...any) error {
	return &misuse{code, fmt.Sprintf(format, args...)}
}

// read returns the files of a request, and how many classes it wants of each.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (files [][]byte, top int, err error) {
	top = defaultTop
	asked := r.URL.Query()
	for key := range asked {
		if key != "top" {
			return nil, 0, bad(http.StatusBadRequest, "the address has %.40q: must have nothing but top behind the ?", key)
		}
	}
	if text := asked.Get("top"); text != "" {
		if top, err = strconv.Atoi(text); err != nil || top < 1 {
			return nil, 0, bad(http.StatusBadRequest, "top is %.20q: must be a whole number of at least 1", text)
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.o.Bytes))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, 0, bad(http.StatusRequestEntityTooLarge, "the request has more than %d bytes, which is all that serve.bytes allows", s.o.Bytes)
	}
	if err != nil {
		return nil, 0, bad(http.StatusBadRequest, "the request cannot be read to its end")
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case kind == "application/json":
		return readJSON(body, top)
	case kind != "" && kind != "application/octet-stream" && kind != "application/x-www-form-urlencoded" && !strings.HasPrefix(kind, "image/"), err != nil && kind != "":
		return nil, 0, bad(http.StatusUnsupportedMediaType, "the content type is %.60q: must be image/… with an image's bytes, or application/json", kind)
	case len(body) == 0:
		return nil, 0, bad(http.StatusBadRequest, "the request is empty: must be an image's bytes, or JSON such as {\"image\": \"BASE64\"}")
	}
	return [][]byte{body}, top, nil
}

func readJSON(body []byte, top int) (files [][]byte, _ int, err error) {
	var q request
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&q)
	if _, end := decoder.Token(); err == nil && end != io.EOF {
		err = errors.New("it goes on behind its end")
	}
	if err != nil {
		return nil, 0, bad(http.StatusBadRequest, "the request is not the JSON that is expected, such as {\"image\": \"BASE64\"}: %v", err)
	}
	if q.Top != nil {
		if top = *q.Top; top < 1 {
			return nil, 0, bad(http.StatusBadRequest, "top is %d: must be a whole number of at least 1", top)
		}
	}
	if q.Image != nil {
		files = append(files, q.Image)
	}
	files = append(files, q.Images...)
	if n := len(files); n < 1 || n > mostImages {
		return nil, 0, bad(http.StatusBadRequest, "the request has %d images: must have 1 to %d, in image or images", n, mostImages)
	}
	return files, top, nil
}
