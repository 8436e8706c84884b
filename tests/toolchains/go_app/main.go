// A static web app for file systems that have nothing else: its environment at /env, two pieces with a pause at /stream.
package main

import (
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	http.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(strings.Join(os.Environ(), "\n")))
	})
	http.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("one "))
		w.(http.Flusher).Flush()
		time.Sleep(300 * time.Millisecond)
		w.Write([]byte("two"))
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("ok"))
	})
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil); err != nil {
		panic(err)
	}
}
