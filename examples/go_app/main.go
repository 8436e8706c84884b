// An HTTP server that knows nothing of Lambda: net/http on the port in PORT.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		fmt.Fprintf(answer, "%s %s from Go\n", request.Method, request.URL.Path)
	})
	http.HandleFunc("/stream", stream)
	http.HandleFunc("/echo", func(answer http.ResponseWriter, request *http.Request) {
		io.Copy(answer, request.Body)
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	log.Fatal(http.ListenAndServe(net.JoinHostPort("127.0.0.1", port), nil))
}

// stream sends five lines, one each fifth of a second.
func stream(answer http.ResponseWriter, request *http.Request) {
	answer.Header().Set("Content-Type", "text/plain")
	for number := 1; number <= 5; number++ {
		if request.Context().Err() != nil {
			return
		}
		fmt.Fprintf(answer, "line %d\n", number)
		answer.(http.Flusher).Flush()
		time.Sleep(200 * time.Millisecond)
	}
}
