package main

import "errors"

type demoCommand struct{}

func (*demoCommand) Run(b *bound) error { return errors.New("not yet") }

type phoneCommand struct{}

func (*phoneCommand) Run(b *bound) error { return errors.New("not yet") }

type benchCommand struct{}

func (*benchCommand) Run(b *bound) error { return errors.New("not yet") }
