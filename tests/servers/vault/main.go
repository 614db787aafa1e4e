// The real Vault with nothing but its transit engine: in memory, unsealed, on 127.0.0.1, with one root token.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	address := flag.String("listen", "127.0.0.1:0", "where to listen; port 0: the system chooses")
	token := flag.String("root-token", "root", "the token that may do all")
	untilEnd := flag.Bool("until-stdin-ends", false, "end with the standard input")
	flag.Parse()

	core, err := unsealed(*token)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	if *untilEnd {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}
	fmt.Println("listening", listener.Addr())
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core})
	log.Fatal((&http.Server{Handler: handler}).Serve(listener))
}

// unsealed is a new core that takes `token` for all.
func unsealed(token string) (*vault.Core, error) {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        storage,
		Logger:          logger,
		DisableMlock:    true,
		BuiltinRegistry: onlyTransit{},
		LogicalBackends: map[string]logical.Factory{"transit": transit.Factory, "kv": vault.PassthroughBackendFactory},
	})
	if err != nil {
		return nil, err
	}
	ctx := namespace.RootContext(context.Background())
	seal := &vault.InitParams{BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}}
	made, err := core.Initialize(ctx, seal)
	if err != nil {
		return nil, err
	}
	if _, err := core.Unseal(made.SecretShares[0]); err != nil {
		return nil, err
	}
	answer, err := core.HandleRequest(ctx, &logical.Request{
		ID: "first", Operation: logical.UpdateOperation, ClientToken: made.RootToken, Path: "auth/token/create",
		Data: map[string]interface{}{"id": token, "policies": []string{"root"}, "no_parent": true, "no_default_policy": true},
	})
	if err == nil && answer != nil && answer.IsError() {
		err = answer.Error()
	}
	return core, err
}

// onlyTransit tells the core which engines are built in; without a registry it fails.
type onlyTransit struct{}

func (onlyTransit) Contains(name string, kind consts.PluginType) bool {
	return name == "transit" && kind == consts.PluginTypeSecrets
}

func (r onlyTransit) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	return func() (interface{}, error) { return transit.Factory, nil }, r.Contains(name, kind)
}

func (onlyTransit) Keys(kind consts.PluginType) []string {
	if kind == consts.PluginTypeSecrets {
		return []string{"transit"}
	}
	return nil
}

func (r onlyTransit) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}
