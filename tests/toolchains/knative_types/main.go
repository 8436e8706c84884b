// Reads a Knative Service strictly into Knative's own types, sets their defaults, and validates it as Knative's webhook does.
package main

import (
	"context"
	"fmt"
	"os"

	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := check(os.Args[1]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func check(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var service servingv1.Service
	if err := yaml.UnmarshalStrict(text, &service); err != nil {
		return err
	}
	service.SetDefaults(context.Background())
	// Warnings are about what Kubernetes allows by default and Cloud Run decides itself.
	if err := service.Validate(context.Background()).Filter(apis.ErrorLevel); err != nil {
		return err
	}
	return nil
}
