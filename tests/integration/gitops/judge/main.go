// Judges Kubernetes objects as Flux and Argo CD do: kstatus by Flux's cli-utils, and the health scripts that this
// repository ships for Argo CD, run by the Lua that Argo CD runs them with.
//
// Reads {"scripts": {"group/Kind": "lua"}, "objects": [...]} from stdin, and prints for each object, in that order,
// {"kstatus": ..., "kstatusMessage": ..., "health": ..., "healthMessage": ...}; health is empty without a script.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	// Whole numbers stay whole, as in the objects that Flux and Argo CD hold.
	kubernetes "k8s.io/apimachinery/pkg/util/json"
)

type question struct {
	Scripts map[string]string        `json:"scripts"`
	Objects []map[string]interface{} `json:"objects"`
}

type verdict struct {
	Kstatus        string `json:"kstatus"`
	KstatusMessage string `json:"kstatusMessage"`
	Health         string `json:"health"`
	HealthMessage  string `json:"healthMessage"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func run() error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fmt.Errorf("read stdin: %w", err)
	}
	var asked question
	if err := kubernetes.Unmarshal(input, &asked); err != nil {
		return fmt.Errorf("understand stdin: %w", err)
	}
	verdicts := []verdict{}
	for _, content := range asked.Objects {
		object := &unstructured.Unstructured{Object: content}
		one, err := judge(object, asked.Scripts)
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		verdicts = append(verdicts, one)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func judge(object *unstructured.Unstructured, scripts map[string]string) (verdict, error) {
	computed, err := status.Compute(object)
	if err != nil {
		return verdict{}, fmt.Errorf("kstatus: %w", err)
	}
	one := verdict{Kstatus: computed.Status.String(), KstatusMessage: computed.Message}
	kind := object.GroupVersionKind()
	script, found := scripts[kind.Group+"/"+kind.Kind]
	if !found {
		return one, nil
	}
	one.Health, one.HealthMessage, err = health(object, script)
	if err != nil {
		return verdict{}, fmt.Errorf("health script: %w", err)
	}
	return one, nil
}

// Argo CD opens so many libraries and no more for a script from argocd-cm, and gives it one second.
func health(object *unstructured.Unstructured, script string) (string, string, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		state.Push(state.NewFunction(open))
		state.Push(lua.LString(name))
		state.Call(1, 0)
	}
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limit)
	state.SetGlobal("obj", value(state, object.Object))
	if err := state.DoString(script); err != nil {
		return "", "", err
	}
	answer, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return "", "", fmt.Errorf("returned %s, not a table", state.Get(-1).Type())
	}
	code := lua.LVAsString(answer.RawGetString("status"))
	switch code {
	case "Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown":
		return code, lua.LVAsString(answer.RawGetString("message")), nil
	}
	return "", "", fmt.Errorf("%q is no health status", code)
}

func value(state *lua.LState, from interface{}) lua.LValue {
	switch from := from.(type) {
	case bool:
		return lua.LBool(from)
	case int64:
		return lua.LNumber(from)
	case float64:
		return lua.LNumber(from)
	case string:
		return lua.LString(from)
	case []interface{}:
		table := state.NewTable()
		for _, item := range from {
			table.Append(value(state, item))
		}
		return table
	case map[string]interface{}:
		table := state.NewTable()
		for name, item := range from {
			table.RawSetString(name, value(state, item))
		}
		return table
	}
	return lua.LNil
}
